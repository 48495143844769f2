//! Trials with known onsets, and the convex problem of their kernels.

use pudle_core::Observation;
use rayon::prelude::*;

use super::differences::{second_differences, times};
use super::link::{At, at};
use crate::cholesky::{cholesky_apply, cholesky_factor, cholesky_solve};

/// Most Newton steps, and the change of the objective below which they end.
pub(super) const STEPS: usize = 40;
pub(super) const STILL: f64 = 1e-9;
/// A small penalty on squares, so that there is one solution where data say nothing.
const RIDGE: f64 = 1e-3;
/// Parts of the trials whose sums are made at once.
const PARTS: usize = 8;

/// Trials with known onsets. The data `x` of a channel of a trial have `u = b + Σ_e d_{k(e)}(t − t_e)`, with a baseline `b` for the
/// trial and a kernel `d_k` for each atom, and `Σ loss(u, x) + ½ s Σ ‖Δ²d_k‖²` is at its minimum (a generalised linear model; for
/// spikes, Truccolo et al., 2005). It is convex, and found by Newton's method.
#[derive(Clone, Debug)]
pub(super) struct Trials {
    pub list: Vec<Trial>,
    pub channels: usize,
    /// Number of atoms, and samples of each.
    pub atoms: usize,
    pub taps: usize,
    pub observation: Observation,
}

#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// `[C, n]`. Missing numbers are NaN.
    pub x: Vec<f32>,
    /// Atom and first sample of each event, in the order of the samples.
    pub events: Vec<(usize, usize)>,
}

/// Kernels and baselines of one channel.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    /// `[p, k]`.
    pub kernels: Vec<f64>,
    /// Of each trial.
    pub baselines: Vec<f64>,
}

impl Trials {
    /// The sum of the losses of trials, each with about the kernels of all others, and its best baseline.
    pub fn left_out(&self, channel: usize, trials: &[usize], found: &Solution, smooth: f64) -> f64 {
        let (mut h, _) = self.derivatives(channel, trials, found, &self.penalty(smooth));
        if !cholesky_factor(&mut h, self.atoms * self.taps) {
            return f64::INFINITY;
        }
        let of = |(trial, baseline): (&usize, &f64)| {
            let mut move_by = vec![0.0; self.atoms * self.taps];
            self.add_trial(channel, *trial, found, *baseline, None, &mut move_by);
            cholesky_apply(&h, &mut move_by);
            // `move_by` comes from minus the gradient, which pulls towards the trial.
            let kernels: Vec<f64> =
                found.kernels.iter().zip(&move_by).map(|(d, m)| d - m).collect();
            self.best_loss(channel, *trial, &kernels)
        };
        let each: Vec<f64> = trials.par_iter().zip(&found.baselines).map(of).collect();
        each.iter().sum()
    }

    /// Samples of a trial.
    pub fn samples(&self, trial: usize) -> usize {
        self.list[trial].x.len() / self.channels
    }

    /// The samples of a channel of a trial.
    fn channel(&self, trial: usize, channel: usize) -> &[f32] {
        let samples = self.list[trial].x.len() / self.channels;
        &self.list[trial].x[channel * samples..][..samples]
    }

    /// `Σ_e d(t − t_e)` of a trial.
    fn synthesis(&self, trial: usize, kernels: &[f64]) -> Vec<f64> {
        let samples = self.list[trial].x.len() / self.channels;
        let mut u = vec![0.0; samples];
        for (atom, start) in &self.list[trial].events {
            let kernel = &kernels[atom * self.taps..][..self.taps];
            u[*start..].iter_mut().zip(kernel).for_each(|(u, value)| *u += value);
        }
        u
    }

    /// Loss and derivatives of every known sample of a trial; none for missing ones.
    pub fn at<'a>(
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
        self.best_baseline(channel, trial, &self.synthesis(trial, kernels)).1
    }

    /// The best baseline of a channel of a trial with these events, and the loss.
    pub fn best_baseline(&self, channel: usize, trial: usize, synthesis: &[f64]) -> (f64, f64) {
        let mut baseline = self.first_baseline(channel, trial);
        let sums = |baseline: f64| {
            self.at(trial, channel, synthesis, baseline)
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
        (baseline, best[0])
    }

    /// The best baseline without any event.
    pub fn first_baseline(&self, channel: usize, trial: usize) -> f64 {
        let known = self.channel(trial, channel).iter().filter(|x| !x.is_nan());
        let (sum, count) =
            known.fold((0.0, 0.0f64), |(sum, count), x| (sum + f64::from(*x), count + 1.0));
        let mean = sum / count.max(1.0);
        let [least, most] = self.baseline_range(channel, trial);
        let best = match self.observation {
            Observation::Gaussian(_) => mean,
            Observation::Binomial(model) => (mean / (f64::from(model.n) - mean)).ln(),
            Observation::Poisson(_) => mean.ln(),
        };
        best.clamp(least, most)
    }

    /// The baselines at which a trial has half a count, and all but half of one.
    pub fn baseline_range(&self, channel: usize, trial: usize) -> [f64; 2] {
        let known = self.channel(trial, channel).iter().filter(|x| !x.is_nan()).count();
        let least = 0.5 / known.max(1) as f64;
        match self.observation {
            Observation::Gaussian(_) => [f64::NEG_INFINITY, f64::INFINITY],
            Observation::Binomial(model) => {
                let odds = (least / (f64::from(model.n) - least)).ln();
                [odds, -odds]
            }
            Observation::Poisson(_) => [least.ln(), f64::INFINITY],
        }
    }

    /// The solution of one channel for some trials.
    pub fn solve(
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

    fn objective(&self, channel: usize, trials: &[usize], now: &Solution, penalty: &[f64]) -> f64 {
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
        let (h, g) = self.derivatives(channel, trials, now, penalty);
        // Rounding may make the matrix indefinite where kernels can hardly be told apart.
        let largest = (0..size).map(|i| h[i * size + i]).fold(0.0, f64::max);
        let solved = [0.0, 1e-10, 1e-8, 1e-6].into_iter().find_map(|ridge| {
            let (mut h, mut g) = (h.clone(), g.clone());
            (0..size).for_each(|i| h[i * size + i] += ridge * largest);
            cholesky_solve(&mut h, &mut g).then_some(g)
        });
        let step = solved.unwrap_or_else(|| vec![0.0; size]);
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

    /// The second derivatives of the objective in the kernels, with the best baselines, and minus its gradient.
    fn derivatives(
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
                    self.add_trial(channel, *trial, now, *baseline, Some(&mut h), &mut g);
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
        (h, g)
    }

    /// Adds the second derivatives, if they are asked for, and the residuals of a trial, less what its baseline takes of them.
    fn add_trial(
        &self,
        channel: usize,
        trial: usize,
        now: &Solution,
        baseline: f64,
        mut h: Option<&mut Vec<f64>>,
        g: &mut [f64],
    ) {
        let (size, taps) = (self.atoms * self.taps, self.taps);
        let synthesis = self.synthesis(trial, &now.kernels);
        let all: Vec<At> = self.at(trial, channel, &synthesis, baseline).collect();
        let (weight, residual) =
            all.iter().fold((1e-9, 0.0), |(w, r), a| (w + a.weight, r + a.residual));
        let mut column = vec![0.0; size];
        let events = &self.list[trial].events;
        for (atom, start) in events {
            for (i, a) in all[*start..*start + taps].iter().enumerate() {
                column[atom * taps + i] += a.weight;
                g[atom * taps + i] += a.residual;
            }
            let Some(h) = h.as_deref_mut() else { continue };
            // Those that share samples with it: events are in the order of their onsets.
            let first = events.partition_point(|event| event.1 + taps <= *start);
            let end = events.partition_point(|event| event.1 < start + taps);
            for (other, begin) in &events[first..end] {
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
            if let Some(h) = h.as_deref_mut() {
                let row = h[i * size..][..size].iter_mut().zip(&column);
                row.for_each(|(h, c)| *h -= factor * c);
            }
        }
    }
}

#[cfg(test)]
mod tests;
