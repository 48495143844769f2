//! The sizes of events that share them, for atoms that stay as they are.

use rayon::prelude::*;

use super::onset_trials::{STEPS, STILL, Trials};
use crate::cholesky::cholesky_solve;
use crate::error::{Result, TrainError};

/// What Newton's step needs of a channel of a trial, with its baseline eliminated.
struct Part {
    /// Second derivatives in the sizes, `[p, p]`, and minus the gradient.
    h: Vec<f64>,
    g: Vec<f64>,
    /// Sums over the samples: of the weights times each atom's events, of the weights, and of the residuals.
    column: Vec<f64>,
    weight: f64,
    residual: f64,
}

impl Trials {
    /// One size for each atom, at the smallest loss of these trials, each channel with a baseline of its own. `atoms` are
    /// `[p, C, k]`. The problem is convex, and solved by Newton's method.
    ///
    /// # Errors
    /// Returns an error if the events of atoms cannot be told apart.
    pub fn shared_sizes(&self, atoms: &[f32], trials: &[usize]) -> Result<Vec<f64>> {
        let pairs: Vec<(usize, usize)> = trials
            .iter()
            .flat_map(|trial| (0..self.channels).map(move |channel| (*trial, channel)))
            .collect();
        let mut sizes = vec![0.0; self.atoms];
        let mut baselines: Vec<f64> =
            pairs.iter().map(|(trial, channel)| self.first_baseline(*channel, *trial)).collect();
        let objective = |sizes: &[f64], baselines: &[f64]| -> f64 {
            let of = |(&(trial, channel), baseline): (&(usize, usize), &f64)| -> f64 {
                let u = self.with_sizes(trial, channel, atoms, sizes);
                self.at(trial, channel, &u, *baseline).map(|a| a.loss).sum()
            };
            pairs.par_iter().zip(baselines).map(of).collect::<Vec<f64>>().iter().sum()
        };
        let mut now = objective(&sizes, &baselines);
        for _ in 0..STEPS {
            let parts: Vec<Part> = pairs
                .par_iter()
                .zip(&baselines)
                .map(|((trial, channel), b)| self.part(*trial, *channel, atoms, &sizes, *b))
                .collect();
            let (mut h, mut step) = (vec![0.0; self.atoms * self.atoms], vec![0.0; self.atoms]);
            for part in &parts {
                h.iter_mut().zip(&part.h).for_each(|(sum, value)| *sum += value);
                step.iter_mut().zip(&part.g).for_each(|(sum, value)| *sum += value);
            }
            if !cholesky_solve(&mut h, &mut step) {
                let reason =
                    "the events of some atoms cannot be told apart: they have the same onsets";
                return Err(TrainError::Unsuitable(reason.into()));
            }
            let moves: Vec<f64> = parts
                .iter()
                .map(|part| {
                    let taken: f64 = part.column.iter().zip(&step).map(|(c, s)| c * s).sum();
                    ((part.residual - taken) / part.weight).clamp(-3.0, 3.0)
                })
                .collect();
            let mut length = 1.0;
            let better = loop {
                let along = |values: &[f64], step: &[f64]| -> Vec<f64> {
                    values.iter().zip(step).map(|(v, s)| v + length * s).collect()
                };
                let next = (along(&sizes, &step), along(&baselines, &moves));
                let value = objective(&next.0, &next.1);
                if value < now {
                    break Some((next, value));
                }
                length *= 0.5;
                if length < 1e-4 {
                    break None;
                }
            };
            let Some((next, value)) = better else { break };
            let gain = now - value;
            ((sizes, baselines), now) = (next, value);
            if gain < STILL * now.abs().max(1.0) {
                break;
            }
        }
        Ok(sizes)
    }

    /// The best baseline of a channel of a trial, with these sizes of atoms `[p, C, k]`. That of a trial without a count has no
    /// limit: it is taken as that of half a count.
    pub fn baseline(&self, trial: usize, channel: usize, atoms: &[f32], sizes: &[f64]) -> f64 {
        let u = self.with_sizes(trial, channel, atoms, sizes);
        let [least, most] = self.baseline_range(channel, trial);
        self.best_baseline(channel, trial, &u).0.clamp(least, most)
    }

    /// The events of each atom in a channel of a trial, at size 1: `p` rows.
    fn rows(&self, trial: usize, channel: usize, atoms: &[f32]) -> Vec<Vec<f64>> {
        let mut rows = vec![vec![0.0; self.samples(trial)]; self.atoms];
        for (atom, start) in &self.list[trial].events {
            let own = &atoms[(atom * self.channels + channel) * self.taps..][..self.taps];
            let row = rows[*atom][*start..].iter_mut().zip(own);
            row.for_each(|(sum, value)| *sum += f64::from(*value));
        }
        rows
    }

    /// `Σ_k a_k` times the events of atom `k`.
    fn with_sizes(&self, trial: usize, channel: usize, atoms: &[f32], sizes: &[f64]) -> Vec<f64> {
        let mut u = vec![0.0; self.samples(trial)];
        for (row, size) in self.rows(trial, channel, atoms).iter().zip(sizes) {
            u.iter_mut().zip(row).for_each(|(u, value)| *u += size * value);
        }
        u
    }

    fn part(
        &self,
        trial: usize,
        channel: usize,
        atoms: &[f32],
        sizes: &[f64],
        baseline: f64,
    ) -> Part {
        let rows = self.rows(trial, channel, atoms);
        let u = self.with_sizes(trial, channel, atoms, sizes);
        let all: Vec<_> = self.at(trial, channel, &u, baseline).collect();
        let weight = all.iter().map(|a| a.weight).sum::<f64>() + 1e-9;
        let residual = all.iter().map(|a| a.residual).sum::<f64>();
        let sum = |f: &dyn Fn(usize) -> f64| (0..all.len()).map(f).sum::<f64>();
        let column: Vec<f64> = rows.iter().map(|row| sum(&|t| all[t].weight * row[t])).collect();
        let g = rows.iter().zip(&column);
        let g = g.map(|(row, c)| sum(&|t| all[t].residual * row[t]) - c * residual / weight);
        let mut h = Vec::with_capacity(self.atoms * self.atoms);
        for (row, c) in rows.iter().zip(&column) {
            for (other, d) in rows.iter().zip(&column) {
                h.push(sum(&|t| all[t].weight * row[t] * other[t]) - c * d / weight);
            }
        }
        Part { h, g: g.collect(), column, weight, residual }
    }
}

#[cfg(test)]
mod tests {
    use super::super::onset_trials::Trial;
    use super::*;

    #[test]
    fn sizes_are_at_the_smallest_loss() {
        let of = |k: usize| Trial {
            x: (0..160).map(|t| ((t * t * 7 + t * k * 13) % 11 / 5) as f32).collect(),
            events: vec![(0, 1 + k), (1, 4 + 2 * k), (0, 30 + k)],
        };
        let atoms: Vec<f32> = (0..2 * 2 * 9).map(|k| ((k * k) as f32 * 0.37).sin() * 0.4).collect();
        for name in ["gaussian", "binomial:2", "poisson:50"] {
            let observation = name.parse().unwrap();
            let list = (0..6).map(of).collect();
            let trials = Trials { list, channels: 2, atoms: 2, taps: 9, observation };
            let all: Vec<usize> = (0..6).collect();
            let found = trials.shared_sizes(&atoms, &all).unwrap();
            let loss = |sizes: &[f64]| -> f64 {
                let each =
                    all.iter().flat_map(|trial| (0..2).map(move |channel| (*trial, channel)));
                each.map(|(trial, channel)| {
                    let u = trials.with_sizes(trial, channel, &atoms, sizes);
                    trials.best_baseline(channel, trial, &u).1
                })
                .sum()
            };
            let best = loss(&found);
            for k in 0..2 {
                for step in [0.02, -0.02] {
                    let mut moved = found.clone();
                    moved[k] += step;
                    assert!(loss(&moved) > best, "{name}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn atoms_with_the_same_events_are_refused() {
        let list = vec![Trial { x: vec![1.0; 40], events: vec![(0, 3), (1, 3)] }];
        let observation = "gaussian".parse().unwrap();
        let trials = Trials { list, channels: 1, atoms: 2, taps: 4, observation };
        let atoms = [0.5, 0.4, 0.3, 0.2].repeat(2);
        let error = trials.shared_sizes(&atoms, &[0]).unwrap_err().to_string();
        assert!(error.contains("told apart"), "{error}");
    }
}
