//! How many atoms, and which λ: by the likelihood of samples that were hidden.

use std::ops::ControlFlow;
use std::sync::Arc;

use pudle_core::{DictionaryConfig, Proximal};
use pudle_data::{DataConfig, Recording, RecordingWindows};
use rayon::prelude::*;

use super::filters::Filters;
use super::held_out::{HeldOut, held_out};
use super::pilot::{Pilot, Stretch};
use super::refine::Rule;
use super::shape::AtomForm;
use crate::codes::Visit;
use crate::config::RunConfig;
use crate::error::{Result, TrainError};

/// Share of every trial, at its end, on which candidates are compared.
const HELD_OUT: f64 = 0.3;

/// Less than this part of the best gain is not worth another atom.
const WORTH: f64 = 0.005;

/// A number of atoms and a λ, and what they are worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Number of atoms.
    pub atoms: usize,
    /// λ in standard deviations of the noise.
    pub lambda: f64,
    /// Gain in log-likelihood of hidden samples over a model without atoms, for 1,000 of them.
    pub gain: f64,
    /// Standard error of the difference to the best candidate; 0 for the best.
    pub error: f64,
    /// Events in a second, or in 1,000 samples if the sampling rate is not known.
    pub events: f64,
    /// By stretch, for comparison with other candidates.
    stretches: Vec<HeldOut>,
}

/// Candidates, and the choice among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// All candidates, by number of atoms and λ.
    pub candidates: Vec<Candidate>,
    /// The candidate of the largest gain.
    pub best: usize,
    /// The choice: of the fewest atoms whose gain is at most one standard error, or half a percent, below the best, the λ of the largest
    /// gain.
    pub chosen: usize,
}

impl Selection {
    /// Compares numbers of atoms and values of λ on a recording.
    ///
    /// Each candidate learns its atoms from the first 70 % of every trial, as a run does before its first step. Then a seventh of the
    /// samples of the rest is hidden, events are found from the others, and the gain is how much better they predict the hidden
    /// samples than zeros do. Atoms of noise predict nothing, and a waveform without an atom is not predicted.
    ///
    /// `config` is fitted to the recording, see [`OwnRecording::fit`](crate::OwnRecording::fit). `visit` is called with the candidates that are done and all.
    ///
    /// # Errors
    /// Returns an error if a list is empty or a number out of its range, if the recording is too short or cannot be read, and
    /// [`TrainError::Interrupted`] if `visit` ends the work.
    pub fn of(
        recording: &Arc<Recording>,
        config: &RunConfig,
        atoms: &[usize],
        lambdas: &[f64],
        visit: Visit<'_>,
    ) -> Result<Self> {
        let (DataConfig::Recordings(settings), DictionaryConfig::Conv1d(shape)) =
            (&config.data, config.model.dictionary)
        else {
            return Err(TrainError::range("data.kind", config.data.kind(), "recordings"));
        };
        check(atoms, lambdas)?;
        let all = settings.windows(recording.clone(), 1, config.seed)?;
        let samples = all.recording().samples();
        let first = samples - (samples as f64 * HELD_OUT) as usize;
        let [training, rest] =
            [0..first, first..samples].map(|span| stretches(&all.of_span(span, true), shape.size));
        let (training, rest) = (training?, rest?);
        let signed = config.model.prox != Proximal::Relu;
        let count = rest.iter().map(Vec::len).sum::<usize>() / shape.channels;
        let time = all.recording().rate().map_or(count as f64 / 1000.0, |rate| count as f64 / rate);
        let total = (atoms.len() * lambdas.len()) as u64;
        let mut candidates: Vec<Candidate> = Vec::new();
        for atoms in atoms {
            let mut filters: Option<Filters> = None;
            for lambda in lambdas {
                let rule = Rule { least: *lambda as f32, signed };
                let (channels, taps) = (shape.channels, shape.size);
                let pilot = Pilot {
                    stretches: &training,
                    channels,
                    atoms: *atoms,
                    taps,
                    rule,
                    form: AtomForm {
                        rank_one: config.model.rank_one,
                        smooth: config.training.smooth,
                    },
                    seed: config.seed,
                };
                let found = match filters {
                    None => Filters::new(pilot.run()?.concat(), channels, taps),
                    Some(before) => pilot.continued(before),
                };
                candidates.push(candidate(&found, *lambda, &rest, rule, config.seed, time));
                filters = Some(found);
                if visit(candidates.len() as u64, total) == ControlFlow::Break(()) {
                    return Err(TrainError::Interrupted);
                }
            }
        }
        Ok(Self::chosen(candidates))
    }

    /// The choice among candidates.
    fn chosen(mut candidates: Vec<Candidate>) -> Self {
        let by_gain = |a: &usize, b: &usize| candidates[*a].gain.total_cmp(&candidates[*b].gain);
        let best = (0..candidates.len()).max_by(by_gain).unwrap_or(0);
        let errors: Vec<f64> =
            candidates.iter().map(|other| error_of(&candidates[best], other)).collect();
        candidates.iter_mut().zip(errors).for_each(|(candidate, error)| candidate.error = error);
        let most = candidates[best].gain;
        let near = |k: &usize| {
            let allowed = candidates[*k].error.max(WORTH * most.abs());
            candidates[*k].gain + allowed >= most
        };
        let chosen = (0..candidates.len())
            .filter(near)
            .min_by(|a, b| {
                let (a, b) = (&candidates[*a], &candidates[*b]);
                a.atoms.cmp(&b.atoms).then(b.gain.total_cmp(&a.gain))
            })
            .unwrap_or(best);
        Self { candidates, best, chosen }
    }

    /// The reason for the choice, in a sentence.
    pub fn reason(&self) -> String {
        let (best, chosen) = (&self.candidates[self.best], &self.candidates[self.chosen]);
        if self.best == self.chosen {
            return format!(
                "{} atoms with λ = {} predict hidden samples best, and fewer atoms do not come near it",
                chosen.atoms, chosen.lambda
            );
        }
        let why = match chosen.gain + chosen.error >= best.gain {
            true => format!("one standard error ({:.2})", chosen.error),
            false => "half a percent".to_owned(),
        };
        format!(
            "{} atoms with λ = {} predict hidden samples within {why} as well as the best, {} atoms with λ = {}",
            chosen.atoms, chosen.lambda, best.atoms, best.lambda
        )
    }
}

fn check(atoms: &[usize], lambdas: &[f64]) -> Result<()> {
    let count = atoms.iter().find(|count| !(1..=256).contains(*count));
    if let Some(count) = count {
        return Err(TrainError::range("atoms", count, "from 1 to 256"));
    }
    if let Some(lambda) = lambdas.iter().find(|lambda| !(**lambda > 0.0 && lambda.is_finite())) {
        return Err(TrainError::range("lambda", lambda, "above 0"));
    }
    match atoms.is_empty() || lambdas.is_empty() {
        true => Err(TrainError::range("candidates", 0, "at least one")),
        false => Ok(()),
    }
}

/// Stretches of a part of a recording.
fn stretches(windows: &RecordingWindows, taps: usize) -> Result<Vec<Stretch>> {
    let samples = windows.span().len();
    if samples < 4 * taps {
        let range = format!(
            "at least {} samples for atoms of {taps}",
            ((4 * taps) as f64 / HELD_OUT).ceil()
        );
        return Err(TrainError::range("recording", format!("{samples} samples"), range));
    }
    Pilot::read(windows, taps)
}

fn candidate(
    filters: &Filters,
    lambda: f64,
    rest: &[Stretch],
    rule: Rule,
    seed: u64,
    time: f64,
) -> Candidate {
    let of = |(k, x): (usize, &Stretch)| held_out(filters, x, rule, seed, k);
    let stretches: Vec<HeldOut> = rest.par_iter().enumerate().map(of).collect();
    let gain: f64 = stretches.iter().map(|stretch| stretch.gain).sum();
    let hidden: usize = stretches.iter().map(|stretch| stretch.hidden).sum();
    let events: usize = stretches.iter().map(|stretch| stretch.events).sum();
    Candidate {
        atoms: filters.atoms(),
        lambda,
        gain: 1e3 * gain / hidden.max(1) as f64,
        error: 0.0,
        events: events as f64 / time,
        stretches,
    }
}

/// The standard error of the difference of two gains, from the differences by stretch.
fn error_of(best: &Candidate, other: &Candidate) -> f64 {
    let of = |s: &HeldOut| 1e3 * s.gain / s.hidden.max(1) as f64;
    let pairs = best.stretches.iter().zip(&other.stretches);
    let differences: Vec<f64> = pairs.map(|(a, b)| of(a) - of(b)).collect();
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    (squares / (count - 1.0).max(1.0) / count).sqrt()
}
