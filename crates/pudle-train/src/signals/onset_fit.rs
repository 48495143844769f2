//! Kernels at known onsets: a convex problem.

use pudle_core::Observation;
use pudle_data::RecordingWindows;
use rayon::prelude::*;

use super::link::{At, at};
use crate::cholesky::cholesky_solve;
use crate::error::{Result, TrainError};

/// Weights of the penalty on second differences that are compared.
const WEIGHTS: [f64; 13] =
    [1e5, 3e4, 1e4, 3e3, 1e3, 3e2, 1e2, 30.0, 10.0, 3.0, 1.0, 0.3, 0.0];
/// Parts of the trials, each of which is held out once.
const FOLDS: usize = 4;
/// Most Newton steps, and the change of the objective below which they end.
const STEPS: usize = 40;
const STILL: f64 = 1e-9;
/// A small penalty on squares, so that there is one solution where data say nothing.
const RIDGE: f64 = 1e-3;
/// Parts of the trials whose sums are made at once.
const PARTS: usize = 8;
/// Most samples of all kernels together, and most numbers of all trials.
const MOST_UNKNOWN: usize = 4096;
const MOST_NUMBERS: usize = 1 << 28;

/// Trials with known onsets. The data `x` of a channel of a trial have `u = b + Σ_e d_{k(e)}(t − t_e)`, with a baseline `b` for the
/// trial and a kernel `d_k` for each atom, and `Σ loss(u, x) + ½ s Σ ‖Δ²d_k‖²` is at its minimum (a generalised linear model; for
/// spikes, Truccolo et al., 2005). It is convex, and found by Newton's method.
#[derive(Clone, Debug)]
pub(crate) struct OnsetFit {
    trials: Vec<Trial>,
    channels: usize,
    atoms: usize,
    taps: usize,
    observation: Observation,
}

#[derive(Clone, Debug)]
struct Trial {
    /// `[C, n]`. Missing numbers are NaN.
    x: Vec<f32>,
    /// Atom and first sample of each event.
    events: Vec<(usize, usize)>,
}

/// Kernels and baselines of one channel.
#[derive(Clone, Debug)]
struct Solution {
    /// `[p, k]`.
    kernels: Vec<f64>,
    /// Of each trial.
    baselines: Vec<f64>,
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
        let onsets = windows.onsets().ok_or_else(|| {
            TrainError::Unsuitable("kernels need known onsets".into())
        })?;
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
        let fit = Self { trials, channels, atoms, taps, observation };
        match (0..atoms).find(|atom| fit.trials.iter().all(|t| t.events.iter().all(|e| e.0 != *atom))) {
            Some(atom) => {
                Err(TrainError::Unsuitable(format!("atom {atom} (from 0) has no onset in these trials")))
            }
            None => Ok(fit),
        }
    }

    /// The kernels with this weight of the penalty on second differences, ≥ 0.
    pub fn kernels(&self, smooth: f64) -> Kernels {
        let all: Vec<usize> = (0..self.trials.len()).collect();
        let found: Vec<Solution> = (0..self.channels)
            .map(|channel| self.solve(channel, &all, smooth, None))
            .collect();
        let mut values = Vec::with_capacity(self.atoms * self.channels * self.taps);
        for atom in 0..self.atoms {
            for solution in &found {
                values.extend_from_slice(&solution.kernels[atom * self.taps..][..self.taps]);
            }
        }
        Kernels { values }
    }

    /// The weight of the penalty with the smallest loss on trials that are held out: every fourth in turn.
    ///
    /// # Errors
    /// Returns an error if there is one trial only.
    pub fn choose_smooth(&self) -> Result<f64> {
        let count = self.trials.len();
        if count < 2 {
            let range = "a number where there is one trial, of which none can be held out";
            return Err(TrainError::range("training.smooth", "to be chosen", range));
        }
        let folds = FOLDS.min(count);
        let mut losses = [0.0; WEIGHTS.len()];
        for fold in 0..folds {
            let (held, rest): (Vec<usize>, Vec<usize>) =
                (0..count).partition(|trial| trial % folds == fold);
            for channel in 0..self.channels {
                let mut last: Option<Solution> = None;
                for (loss, weight) in losses.iter_mut().zip(WEIGHTS) {
                    let found = self.solve(channel, &rest, weight, last);
                    let of = |trial: &usize| self.best_loss(channel, *trial, &found.kernels);
                    let each: Vec<f64> = held.par_iter().map(of).collect();
                    *loss += each.iter().sum::<f64>();
                    last = Some(found);
                }
            }
        }
        let best = (0..WEIGHTS.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b]));
        Ok(WEIGHTS[best.unwrap_or(0)])
    }

    /// The samples of a channel of a trial.
    fn channel(&self, trial: usize, channel: usize) -> &[f32] {
        let samples = self.trials[trial].x.len() / self.channels;
        &self.trials[trial].x[channel * samples..][..samples]
    }

    /// `Σ_e d(t − t_e)` of a trial.
    fn synthesis(&self, trial: usize, kernels: &[f64]) -> Vec<f64> {
        let samples = self.trials[trial].x.len() / self.channels;
        let mut u = vec![0.0; samples];
        for (atom, start) in &self.trials[trial].events {
            let kernel = &kernels[atom * self.taps..][..self.taps];
            u[*start..].iter_mut().zip(kernel).for_each(|(u, value)| *u += value);
        }
        u
    }

    /// Loss and derivatives of every known sample of a trial; none for missing ones.
    fn at<'a>(
        &'a self,
        trial: usize,
        channel: usize,
        synthesis: &'a [f64],
        baseline: f64,
    ) -> impl Iterator<Item = At> + 'a {
        let none = At { loss: 0.0, residual: 0.0, weight: 0.0 };
        self.channel(trial, channel).iter().zip(synthesis).map(move |(x, u)| match x.is_nan() {
            true => none,
            false => at(self.observation, u + baseline, f64::from(*x)),
        })
    }

    /// The loss of a trial with its best baseline.
    fn best_loss(&self, channel: usize, trial: usize, kernels: &[f64]) -> f64 {
        let synthesis = self.synthesis(trial, kernels);
        let mut baseline = self.first_baseline(channel, trial);
        let sums = |baseline: f64| {
            self.at(trial, channel, &synthesis, baseline)
                .fold([0.0; 3], |[l, r, w], a| [l + a.loss, r + a.residual, w + a.weight])
        };
        let mut best = sums(baseline);
        for _ in 0..STEPS {
            let step = (best[1] / best[2].max(1e-12)).clamp(-2.0, 2.0);
            let next = sums(baseline + step);
            if next[0] > best[0] - STILL {
                break;
            }
            (baseline, best) = (baseline + step, next);
        }
        best[0]
    }

    /// The best baseline without any event.
    fn first_baseline(&self, channel: usize, trial: usize) -> f64 {
        let known = self.channel(trial, channel).iter().filter(|x| !x.is_nan());
        let (sum, count) =
            known.fold((0.0, 0.0f64), |(sum, count), x| (sum + f64::from(*x), count + 1.0));
        let least = 0.5 / count.max(1.0);
        let mean = sum / count.max(1.0);
        match self.observation {
            Observation::Gaussian(_) => mean,
            Observation::Binomial(model) => {
                let share = mean.clamp(least, f64::from(model.n) - least) / f64::from(model.n);
                (share / (1.0 - share)).ln()
            }
            Observation::Poisson(_) => mean.max(least).ln(),
        }
    }

    /// The solution of one channel for some trials.
    fn solve(
        &self,
        channel: usize,
        trials: &[usize],
        smooth: f64,
        from: Option<Solution>,
    ) -> Solution {
        let size = self.atoms * self.taps;
        let mut now = from.unwrap_or_else(|| Solution {
            kernels: vec![0.0; size],
            baselines: trials.iter().map(|trial| self.first_baseline(channel, *trial)).collect(),
        });
        let penalty = self.penalty(smooth);
        let mut objective = self.objective(channel, trials, &now, &penalty);
        for _ in 0..STEPS {
            let (step, moves) = self.newton(channel, trials, &now, &penalty);
            let mut length = 1.0;
            let mut better = None;
            while length > 1e-4 {
                let along = |values: &[f64], step: &[f64]| -> Vec<f64> {
                    values.iter().zip(step).map(|(v, s)| v + length * s).collect()
                };
                let next = Solution {
                    kernels: along(&now.kernels, &step),
                    baselines: along(&now.baselines, &moves),
                };
                let value = self.objective(channel, trials, &next, &penalty);
                if value < objective {
                    better = Some((next, value));
                    break;
                }
                length *= 0.5;
            }
            let Some((next, value)) = better else { break };
            let gain = objective - value;
            (now, objective) = (next, value);
            if gain < STILL * objective.abs().max(1.0) {
                break;
            }
        }
        now
    }

    /// The matrix of the penalty of one kernel, `s Δ²ᵀΔ²` and a ridge, `[k, k]`.
    fn penalty(&self, smooth: f64) -> Vec<f64> {
        let mut penalty = second_differences(self.taps);
        penalty.iter_mut().for_each(|value| *value *= smooth);
        (0..self.taps).for_each(|i| penalty[i * self.taps + i] += RIDGE);
        penalty
    }

    fn objective(
        &self,
        channel: usize,
        trials: &[usize],
        now: &Solution,
        penalty: &[f64],
    ) -> f64 {
        let of = |(trial, baseline): (&usize, &f64)| -> f64 {
            let synthesis = self.synthesis(*trial, &now.kernels);
            self.at(*trial, channel, &synthesis, *baseline).map(|a| a.loss).sum()
        };
        let losses: Vec<f64> = trials.par_iter().zip(&now.baselines).map(of).collect();
        let rough: f64 = now
            .kernels
            .chunks_exact(self.taps)
            .map(|d| times(penalty, d).iter().zip(d).map(|(p, d)| 0.5 * p * d).sum::<f64>())
            .sum();
        losses.iter().sum::<f64>() + rough
    }

    /// Newton's step of kernels and baselines. Baselines are eliminated: each is in one trial only.
    fn newton(
        &self,
        channel: usize,
        trials: &[usize],
        now: &Solution,
        penalty: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let size = self.atoms * self.taps;
        let part = trials.len().div_ceil(PARTS).max(1);
        let sums: Vec<(Vec<f64>, Vec<f64>)> = trials
            .par_chunks(part)
            .zip(now.baselines.par_chunks(part))
            .map(|(trials, baselines)| {
                let (mut h, mut g) = (vec![0.0; size * size], vec![0.0; size]);
                for (trial, baseline) in trials.iter().zip(baselines) {
                    self.add_trial(channel, *trial, now, *baseline, &mut h, &mut g);
                }
                (h, g)
            })
            .collect();
        let (mut h, mut g) = (vec![0.0; size * size], vec![0.0; size]);
        for (part_h, part_g) in sums {
            h.iter_mut().zip(part_h).for_each(|(sum, value)| *sum += value);
            g.iter_mut().zip(part_g).for_each(|(sum, value)| *sum += value);
        }
        for (atom, d) in now.kernels.chunks_exact(self.taps).enumerate() {
            let pull = times(penalty, d);
            for i in 0..self.taps {
                g[atom * self.taps + i] -= pull[i];
                let row = &mut h[(atom * self.taps + i) * size + atom * self.taps..][..self.taps];
                row.iter_mut().zip(&penalty[i * self.taps..]).for_each(|(h, p)| *h += p);
            }
        }
        if !cholesky_solve(&mut h, &mut g) {
            return (vec![0.0; size], vec![0.0; trials.len()]);
        }
        let step = g;
        let of = |(trial, baseline): (&usize, &f64)| {
            let synthesis = self.synthesis(*trial, &now.kernels);
            let change = self.synthesis(*trial, &step);
            let (mut residual, mut weight) = (0.0, 0.0);
            for (a, change) in self.at(*trial, channel, &synthesis, *baseline).zip(&change) {
                residual += a.residual - a.weight * change;
                weight += a.weight;
            }
            (residual / weight.max(1e-9)).clamp(-3.0, 3.0)
        };
        let moves = trials.par_iter().zip(&now.baselines).map(of).collect();
        (step, moves)
    }

    /// Adds the second derivatives and the residuals of a trial, less what its baseline takes of them.
    fn add_trial(
        &self,
        channel: usize,
        trial: usize,
        now: &Solution,
        baseline: f64,
        h: &mut [f64],
        g: &mut [f64],
    ) {
        let (size, taps) = (self.atoms * self.taps, self.taps);
        let synthesis = self.synthesis(trial, &now.kernels);
        let all: Vec<At> = self.at(trial, channel, &synthesis, baseline).collect();
        let (weight, residual) =
            all.iter().fold((1e-9, 0.0), |(w, r), a| (w + a.weight, r + a.residual));
        let mut column = vec![0.0; size];
        let events = &self.trials[trial].events;
        for (atom, start) in events {
            for (i, a) in all[*start..*start + taps].iter().enumerate() {
                column[atom * taps + i] += a.weight;
                g[atom * taps + i] += a.residual;
            }
            for (other, begin) in events {
                // Samples under both.
                let first = *start.max(begin);
                let last = (start + taps).min(begin + taps);
                for (t, a) in all[..last].iter().enumerate().skip(first) {
                    h[(atom * taps + t - start) * size + other * taps + t - begin] += a.weight;
                }
            }
        }
        for (i, value) in column.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            let factor = value / weight;
            g[i] -= factor * residual;
            h[i * size..][..size].iter_mut().zip(&column).for_each(|(h, c)| *h -= factor * c);
        }
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
    match x.iter().find(|x| !x.is_nan() && !(x.fract() == 0.0 && (0.0..=most).contains(*x))) {
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

/// `Δ²ᵀΔ²` of `length` samples, row-major.
pub(super) fn second_differences(length: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; length * length];
    for first in 0..length.saturating_sub(2) {
        for (i, a) in [1.0, -2.0, 1.0].iter().enumerate() {
            for (j, b) in [1.0, -2.0, 1.0].iter().enumerate() {
                matrix[(first + i) * length + first + j] += a * b;
            }
        }
    }
    matrix
}

/// A square matrix times a vector.
fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    let rows = matrix.chunks_exact(vector.len());
    rows.map(|row| row.iter().zip(vector).map(|(m, v)| m * v).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two kernels that overlap, in seven trials of two channels, one sample of which is missing.
    fn fit(name: &str) -> OnsetFit {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let trials = (0..7)
            .map(|k| {
                let mut x: Vec<f32> = (0..80).map(|_| (draw() * 1.8).floor()).collect();
                x[3] = if k == 2 { f32::NAN } else { x[3] };
                Trial { x, events: vec![(0, 1 + k), (1, 4 + 2 * k), (0, 20 + k)] }
            })
            .collect();
        let observation = name.parse().unwrap();
        OnsetFit { trials, channels: 2, atoms: 2, taps: 9, observation }
    }

    #[test]
    fn the_solution_is_the_optimum() {
        for name in ["gaussian", "bernoulli", "binomial:3", "poisson:2"] {
            let fit = fit(name);
            let all: Vec<usize> = (0..7).collect();
            for channel in 0..2 {
                let found = fit.solve(channel, &all, 2.0, None);
                let penalty = fit.penalty(2.0);
                let objective = |s: &Solution| fit.objective(channel, &all, s, &penalty);
                let best = objective(&found);
                for k in 0..18 + 7 {
                    let moved = |h: f64| {
                        let mut moved = found.clone();
                        match k.checked_sub(18) {
                            None => moved.kernels[k] += h,
                            Some(trial) => moved.baselines[trial] += h,
                        }
                        objective(&moved)
                    };
                    let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                    assert!(slope.abs() < 1e-3, "{name}, {k}: {slope}");
                    assert!(moved(0.05) > best && moved(-0.05) > best, "{name}, {k}");
                }
            }
        }
    }

    #[test]
    fn newtons_step_ends_at_the_optimum_of_gaussian_data() {
        let fit = fit("gaussian");
        let all: Vec<usize> = (0..7).collect();
        let start = Solution { kernels: vec![0.0; 18], baselines: vec![0.0; 7] };
        let penalty = fit.penalty(0.5);
        let (step, moves) = fit.newton(0, &all, &start, &penalty);
        let found = fit.solve(0, &all, 0.5, None);
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(&step, &found.kernels) && near(&moves, &found.baselines));
    }

    #[test]
    fn smooth_kernels_are_chosen_for_noise() {
        let fit = fit("bernoulli");
        assert!(fit.choose_smooth().unwrap() > 10.0, "data without events have no rough kernels");
        let one = OnsetFit { trials: fit.trials[..1].to_vec(), ..fit };
        assert!(one.choose_smooth().unwrap_err().to_string().contains("one trial"));
    }
}
