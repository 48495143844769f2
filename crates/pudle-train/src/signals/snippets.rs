//! The strongest stretches of a recording, and clusters of them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::filters::Filters;

/// Rounds of clustering for a start, and for the best of the starts.
const ROUNDS: [usize; 2] = [8, 20];
/// Starts of clustering.
const STARTS: usize = 6;

/// Stretches of a recording around strong places, with room to shift an atom.
pub(super) struct Snippets {
    /// `[C, wide]` each.
    values: Vec<Vec<f32>>,
    channels: usize,
    taps: usize,
    /// Samples of a snippet.
    wide: usize,
}

/// A place in a signal with more energy than the noise has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strong {
    pub signal: usize,
    /// The middle of the stretch.
    pub middle: usize,
    pub energy: f32,
}

/// The places where the energy over half an atom is largest among its neighbours, and more than noise of standard deviation 1
/// has: by 4 standard deviations of it.
pub(super) fn strong(signal: usize, x: &[f32], channels: usize, taps: usize) -> Vec<Strong> {
    let samples = x.len() / channels;
    let width = (taps / 2).max(1);
    if samples < 2 * taps {
        return Vec::new();
    }
    let mut squares = vec![0.0f32; samples];
    for row in x.chunks_exact(samples) {
        squares.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * value);
    }
    let mut energy = Vec::with_capacity(samples + 1 - width);
    let mut sum: f64 = squares[..width].iter().map(|v| f64::from(*v)).sum();
    energy.push(sum as f32);
    for k in width..samples {
        sum += f64::from(squares[k]) - f64::from(squares[k - width]);
        energy.push(sum as f32);
    }
    let count = (channels * width) as f32;
    let least = count + 4.0 * (2.0 * count).sqrt();
    let mut places: Vec<usize> = (0..energy.len()).filter(|k| energy[*k] > least).collect();
    places.sort_by(|a, b| energy[*b].total_cmp(&energy[*a]).then(a.cmp(b)));
    let mut found: Vec<Strong> = Vec::new();
    let mut kept = vec![Vec::new(); energy.len() / taps + 3];
    for place in places {
        let cell = place / taps + 1;
        let mut near = kept[cell - 1..=cell + 1].iter().flatten();
        if near.any(|other: &usize| other.abs_diff(place) < taps) {
            continue;
        }
        kept[cell].push(place);
        found.push(Strong { signal, middle: place + width / 2, energy: energy[place] });
    }
    found
}

impl Snippets {
    /// The snippets of signals `[C, n]` around these places, without those that do not fit in.
    pub fn cut(signals: &[Vec<f32>], places: &[Strong], channels: usize, taps: usize) -> Self {
        let margin = taps / 2;
        let wide = taps + 2 * margin;
        let cut = |place: &Strong| {
            let signal = &signals[place.signal];
            let samples = signal.len() / channels;
            let first = place.middle.checked_sub(wide / 2)?;
            if first + wide > samples {
                return None;
            }
            Some(
                signal
                    .chunks_exact(samples)
                    .flat_map(|row| &row[first..first + wide])
                    .copied()
                    .collect(),
            )
        };
        Self { values: places.iter().filter_map(cut).collect(), channels, taps, wide }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Up to `count` directions of unit norm, `[C, k]` each, such that the squared products of each snippet with the best of
    /// them at the best shift are largest in sum. It is k-means with shifts, from starts in the manner of k-means++.
    pub fn clusters(&self, count: usize, signed: bool, rng: &mut ChaCha8Rng) -> Vec<Vec<f32>> {
        let mut best: Option<(f64, Vec<Vec<f32>>)> = None;
        for _ in 0..STARTS {
            let mut centres = self.start(count, signed, rng);
            let mut gain = 0.0;
            for _ in 0..ROUNDS[0] {
                gain = self.round(&mut centres, signed);
            }
            if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                best = Some((gain, centres));
            }
        }
        let (_, mut centres) = best.unwrap_or_default();
        for _ in 0..ROUNDS[1] {
            self.round(&mut centres, signed);
        }
        centres
    }

    /// Snippets of which each is unlike those before.
    fn start(&self, count: usize, signed: bool, rng: &mut ChaCha8Rng) -> Vec<Vec<f32>> {
        let size = |k: usize| self.values[k].iter().map(|v| v * v).sum::<f32>();
        let mut left: Vec<f32> = (0..self.len()).map(size).collect();
        let mut centres: Vec<Vec<f32>> = Vec::new();
        while centres.len() < count.min(self.len()) {
            let total: f64 = left.iter().map(|v| f64::from(*v)).sum();
            let mut draw = rng.random_range(0.0..total.max(f64::MIN_POSITIVE));
            let chosen = left.iter().position(|value| {
                draw -= f64::from(*value);
                draw <= 0.0
            });
            let chosen = chosen.unwrap_or(self.len() - 1);
            let Some(centre) = unit(self.aligned(chosen, (self.wide - self.taps) / 2)) else {
                left[chosen] = 0.0;
                if left.iter().all(|value| *value == 0.0) {
                    break;
                }
                continue;
            };
            let filters = Filters::new(centre.clone(), self.channels, self.taps);
            for (k, (left, (_, product, _))) in
                left.iter_mut().zip(self.bests(&filters, signed)).enumerate()
            {
                *left = left.min((size(k) - product * product).max(0.0));
            }
            centres.push(centre);
        }
        centres
    }

    /// Assigns every snippet to its best direction, and makes each direction the mean of its own, weighted by their products.
    fn round(&self, centres: &mut [Vec<f32>], signed: bool) -> f64 {
        if centres.is_empty() {
            return 0.0;
        }
        let filters = Filters::new(centres.concat(), self.channels, self.taps);
        let mut sums = vec![vec![0.0f32; self.channels * self.taps]; centres.len()];
        let mut gain = 0.0;
        for (k, (atom, product, lag)) in self.bests(&filters, signed).into_iter().enumerate() {
            if product == 0.0 {
                continue;
            }
            gain += f64::from(product * product);
            let part = self.aligned(k, lag);
            sums[atom].iter_mut().zip(part).for_each(|(sum, value)| *sum += product * value);
        }
        for (centre, sum) in centres.iter_mut().zip(sums) {
            if let Some(sum) = unit(sum) {
                *centre = centred(&sum, self.channels).0;
            }
        }
        gain
    }

    /// The part of a snippet under an atom that starts `lag` samples after it.
    fn aligned(&self, k: usize, lag: usize) -> Vec<f32> {
        let rows = self.values[k].chunks_exact(self.wide);
        rows.flat_map(|row| &row[lag..lag + self.taps]).copied().collect()
    }

    /// The atom, product and lag of the largest product of each snippet.
    fn bests(&self, filters: &Filters, signed: bool) -> Vec<(usize, f32, usize)> {
        (0..self.len()).into_par_iter().map(|k| self.best(k, filters, signed)).collect()
    }

    /// The atom, product and lag of the largest product of a snippet.
    fn best(&self, k: usize, filters: &Filters, signed: bool) -> (usize, f32, usize) {
        let mut best = (0, 0.0, 0);
        let lags = self.wide - self.taps + 1;
        let products = filters.analysis(&self.values[k]);
        for (place, product) in products.iter().enumerate() {
            let size = |value: f32| if signed { value.abs() } else { value };
            if size(*product) > size(best.1) {
                best = (place / lags, *product, place % lags);
            }
        }
        best
    }
}

/// An atom `[C, k]` with the centre of its energy in the middle, and by how many samples it moved: its new sample `s` is the old
/// one at `s + shift`. What moves over an end is lost, and zeros come in at the other.
pub(super) fn centred(atom: &[f32], channels: usize) -> (Vec<f32>, isize) {
    let taps = atom.len() / channels;
    let (mut energy, mut moment) = (0.0f64, 0.0f64);
    for row in atom.chunks_exact(taps) {
        // Squares of squares: the noise of many small samples does not count.
        for (s, value) in row.iter().enumerate() {
            let weight = f64::from(*value).powi(4);
            energy += weight;
            moment += weight * s as f64;
        }
    }
    let shift =
        (moment / energy.max(f64::MIN_POSITIVE) - (taps as f64 - 1.0) / 2.0).round() as isize;
    if shift.unsigned_abs() <= taps / 16 {
        return (atom.to_vec(), 0);
    }
    let at = |row: &[f32], s: usize| {
        s.checked_add_signed(shift).and_then(|s| row.get(s)).copied().unwrap_or(0.0)
    };
    let moved = atom.chunks_exact(taps).flat_map(|row| (0..taps).map(move |s| at(row, s)));
    (moved.collect(), shift)
}

/// Values divided by their norm; `None` if it is zero or not finite.
pub(crate) fn unit(mut values: Vec<f32>) -> Option<Vec<f32>> {
    let norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if !(norm > 0.0 && norm.is_finite()) {
        return None;
    }
    values.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
    Some(values)
}
