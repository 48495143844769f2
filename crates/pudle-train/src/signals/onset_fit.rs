//! Kernels at known onsets: a convex problem.

use pudle_core::Observation;
use pudle_data::RecordingWindows;

use super::onset_trials::{Solution, Trial, Trials};
use crate::error::{Result, TrainError};

/// Weights of the penalty on second differences that are compared.
const WEIGHTS: [f64; 13] = [1e5, 3e4, 1e4, 3e3, 1e3, 3e2, 1e2, 30.0, 10.0, 3.0, 1.0, 0.3, 0.0];
/// Most samples of all kernels together, and most numbers of all trials.
const MOST_UNKNOWN: usize = 4096;
const MOST_NUMBERS: usize = 1 << 28;

/// Finds kernels at known onsets, see [`Trials`].
#[derive(Clone, Debug)]
pub(crate) struct OnsetFit {
    trials: Trials,
}

/// The kernels of all channels, `[p, C, k]`.
#[derive(Clone, Debug)]
pub(crate) struct Kernels {
    pub values: Vec<f64>,
}

impl OnsetFit {
    /// Reads the trials of windows with onsets.
    ///
    /// # Errors
    /// Returns an error if they cannot be read, if a count is not one that the model can have, or if several atoms have no onsets of
    /// their own.
    pub fn read(
        windows: &RecordingWindows,
        observation: Observation,
        [atoms, taps]: [usize; 2],
    ) -> Result<Self> {
        let recording = windows.recording();
        let (channels, samples) = (recording.channels(), recording.samples());
        let onsets = windows
            .onsets()
            .ok_or_else(|| TrainError::Unsuitable("kernels need known onsets".into()))?;
        if atoms * taps > MOST_UNKNOWN {
            let range = format!("at most {MOST_UNKNOWN} samples for all atoms at known onsets");
            return Err(TrainError::range("length", format!("{taps} samples"), range));
        }
        if channels * samples * windows.trials().len() > MOST_NUMBERS {
            let reason = format!("{} trials do not fit into memory", windows.trials().len());
            return Err(TrainError::Unsuitable(reason));
        }
        let mut trials = Vec::with_capacity(windows.trials().len());
        for trial in windows.trials() {
            let mut x = vec![0.0; channels * samples];
            windows.read(trial, 0, &mut x)?;
            check_counts(observation, &x, trial, windows)?;
            let own = onsets.trial(trial).iter().filter(|onset| onset.start + taps <= samples);
            let events: Option<Vec<(usize, usize)>> = own
                .map(|onset| Some((onset.atom.or((atoms == 1).then_some(0))?, onset.start)))
                .collect();
            let events = events.ok_or_else(|| {
                let reason = format!("the onsets have no atoms, but there are {atoms}: their table needs a column \"atom\"");
                TrainError::Unsuitable(reason)
            })?;
            trials.push(Trial { x, events });
        }
        let trials = Trials { list: trials, channels, atoms, taps, observation };
        let has = |atom: usize| trials.list.iter().any(|t| t.events.iter().any(|e| e.0 == atom));
        match (0..atoms).find(|atom| !has(*atom)) {
            Some(atom) => Err(TrainError::Unsuitable(format!(
                "atom {atom} (from 0) has no onset in these trials"
            ))),
            None => trials.told_apart().map(|()| Self { trials }),
        }
    }

    /// The trials.
    pub(super) fn trials(&self) -> &Trials {
        &self.trials
    }

    /// The kernels with this weight of the penalty on second differences, ≥ 0.
    pub fn kernels(&self, smooth: f64) -> Kernels {
        let Trials { list, channels, atoms, taps, .. } = &self.trials;
        let all: Vec<usize> = (0..list.len()).collect();
        let found: Vec<Solution> =
            (0..*channels).map(|channel| self.trials.solve(channel, &all, smooth, None)).collect();
        let mut values = Vec::with_capacity(atoms * channels * taps);
        for atom in 0..*atoms {
            for solution in &found {
                values.extend_from_slice(&solution.kernels[atom * taps..][..*taps]);
            }
        }
        Kernels { values }
    }

    /// The weight of the penalty with the smallest loss on trials that are left out, one at a time.
    ///
    /// Without trial `i`, whose loss has the gradient `g_i`, the solution moves by about `H⁻¹g_i`, with the second derivatives `H` of
    /// the whole objective (the infinitesimal jackknife; Beirami et al., 2017). So one solution for each weight is enough.
    ///
    /// # Errors
    /// Returns an error if there is one trial only.
    pub fn choose_smooth(&self) -> Result<f64> {
        let count = self.trials.list.len();
        if count < 2 {
            let range = "a number where there is one trial, which cannot be left out";
            return Err(TrainError::range("training.smooth", "to be chosen", range));
        }
        let all: Vec<usize> = (0..count).collect();
        let mut losses = [0.0; WEIGHTS.len()];
        for channel in 0..self.trials.channels {
            let mut last: Option<Solution> = None;
            for (loss, weight) in losses.iter_mut().zip(WEIGHTS) {
                let found = self.trials.solve(channel, &all, weight, last);
                *loss += self.trials.left_out(channel, &all, &found, weight);
                last = Some(found);
            }
        }
        let best = (0..WEIGHTS.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b]));
        Ok(WEIGHTS[best.unwrap_or(0)])
    }
}

impl Trials {
    /// # Errors
    /// Returns an error if two atoms have the same onsets in all trials.
    fn told_apart(&self) -> Result<()> {
        let of = |atom: usize| -> Vec<Vec<usize>> {
            let own = |trial: &Trial| {
                let events = trial.events.iter().filter(|event| event.0 == atom);
                events.map(|event| event.1).collect()
            };
            self.list.iter().map(own).collect()
        };
        let all: Vec<_> = (0..self.atoms).map(of).collect();
        for (one, onsets) in all.iter().enumerate() {
            if let Some(more) = all[one + 1..].iter().position(|other| other == onsets) {
                let other = one + 1 + more;
                let reason = format!(
                    "atoms {one} and {other} (from 0) have the same onsets, and cannot be told apart"
                );
                return Err(TrainError::Unsuitable(reason));
            }
        }
        Ok(())
    }
}

/// Counts must be ones that the model can have.
fn check_counts(
    observation: Observation,
    x: &[f32],
    trial: usize,
    windows: &RecordingWindows,
) -> Result<()> {
    let most = match observation {
        Observation::Gaussian(_) => return Ok(()),
        Observation::Binomial(model) => model.n as f32,
        Observation::Poisson(_) => f32::INFINITY,
    };
    let is_count = |x: &f32| x.fract() == 0.0 && (0.0..=most).contains(x);
    match x.iter().find(|x| !x.is_nan() && !is_count(x)) {
        None => Ok(()),
        Some(value) => {
            let reason = format!(
                "trial {trial} (from 0) has {value}, which is no count of {observation} data: whole numbers from 0{}",
                if most.is_finite() { format!(" to {most}") } else { String::new() }
            );
            Err(TrainError::weights(windows.recording().path(), reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_kernels_are_chosen_for_noise() {
        let of = |k: usize| Trial {
            x: (0..80).map(|t| f32::from(u8::from((t * t * 7 + t * k * 13) % 11 < 3))).collect(),
            events: vec![(0, 1 + k), (1, 4 + 2 * k), (0, 20 + k)],
        };
        let observation = "bernoulli".parse().unwrap();
        let list = (0..9).map(of).collect();
        let fit = OnsetFit { trials: Trials { list, channels: 2, atoms: 2, taps: 9, observation } };
        assert!(fit.choose_smooth().unwrap() > 10.0, "data without events have no rough kernels");
        assert_eq!(fit.kernels(10.0).values.len(), 2 * 2 * 9);
        let mut one = fit.clone();
        one.trials.list.truncate(1);
        assert!(one.choose_smooth().unwrap_err().to_string().contains("one trial"));
    }
}
