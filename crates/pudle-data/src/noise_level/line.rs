//! Noise that grows with the light: variance against level.

use super::blocks::{Block, RINGS, counts};

/// Number of ranges of levels with equally many blocks.
const BINS: usize = 8;
/// Fewest ranges that a line is fitted to.
const LEAST_USED: usize = 6;
/// Fewest blocks in a range.
const FEWEST: usize = 30;
/// The rings from this one on are measured: texture is weakest there.
const FIRST_RING: usize = 4;
/// The variance at the highest level is at least this many times that at the lowest level.
const LEAST_RATIO: f32 = 1.8;

/// The variance `base + gain · level` of noise, in the units of the levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LightNoise {
    /// Variance at level 0. It is negative if the levels have a pedestal.
    pub base: f32,
    /// Growth of the variance with the level, above 0: the level of one photon for counted light.
    pub gain: f32,
}

impl LightNoise {
    /// The variance at a level, at least 0.
    pub fn variance(&self, level: f32) -> f32 {
        (self.base + self.gain * level).max(0.0)
    }
}

/// One range of levels.
struct Bin {
    level: f32,
    variance: f32,
    /// Share of its blocks that are flat.
    share: f32,
    /// Share of those that are flatter than noise allows.
    below: f32,
}

/// The line of variance against level, if the noise clearly grows with the level.
///
/// Blocks are sorted into ranges of their mean. In each range, the lower end of the energies of the finest waves gives the
/// variance, as texture only adds to it. A line is fitted to the ranges, and again without ranges far above it.
pub(super) fn light_noise(blocks: &[Block]) -> Option<LightNoise> {
    let mut levels: Vec<(f32, f32)> =
        blocks.iter().map(|block| (block.level, finest(block))).collect();
    let size = levels.len() / BINS;
    if size < FEWEST {
        return None;
    }
    levels.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let bins: Vec<Bin> = levels.chunks_exact(size).map(bin).collect();
    let mut used: Vec<&Bin> = bins.iter().collect();
    let mut line = fit(&used)?;
    for _ in 0..3 {
        used = bins.iter().filter(|bin| bin.variance < 1.25 * line.variance(bin.level)).collect();
        if used.len() < LEAST_USED {
            return None;
        }
        line = fit(&used)?;
    }
    let (lowest, highest) = (used[0].level, used[used.len() - 1].level);
    let misfit = |bin: &&Bin| (bin.variance / line.variance(bin.level).max(1e-9) - 1.0).abs();
    let misfit = used.iter().map(misfit).sum::<f32>() / used.len() as f32;
    let below = used.iter().map(|bin| bin.below).sum::<f32>() / used.len() as f32;
    let clear = line.gain > 0.0
        && line.variance(highest) > LEAST_RATIO * line.variance(lowest)
        && misfit < 0.08
        && below < 0.05;
    clear.then_some(line)
}

/// Mean energy of the finest waves.
fn finest(block: &Block) -> f32 {
    let counts = counts();
    let total: f32 = counts[FIRST_RING..].iter().sum();
    (FIRST_RING..RINGS).map(|ring| counts[ring] * block.energy[ring]).sum::<f32>() / total
}

/// The lower end of the variances in a range of levels: the mean of all that are at most two standard errors above it.
fn bin(blocks: &[(f32, f32)]) -> Bin {
    let waves: f32 = counts()[FIRST_RING..].iter().sum();
    let error = (2.0 / waves).sqrt();
    let mut variances: Vec<f32> = blocks.iter().map(|(_, variance)| *variance).collect();
    variances.sort_unstable_by(f32::total_cmp);
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let first = (variances.len() / 10).max(4);
    // The mean of the lowest tenth of normal values is 1.75 standard errors below their mean.
    let mut center = mean(&variances[..first]) / (1.0 - 1.75 * error);
    let mut flat = variances.as_slice();
    for _ in 0..4 {
        let count = variances.partition_point(|v| *v < center * (1.0 + 2.0 * error));
        flat = &variances[..count.max(first)];
        center = mean(flat) / (1.0 - 0.055 * error);
    }
    let low = flat.partition_point(|v| *v < center * (1.0 - 2.2 * error));
    Bin {
        level: blocks.iter().map(|(level, _)| level).sum::<f32>() / blocks.len() as f32,
        variance: center,
        share: flat.len() as f32 / variances.len() as f32,
        below: low as f32 / flat.len() as f32,
    }
}

/// The line with the least squares of relative errors, weighted with the shares of flat blocks.
fn fit(bins: &[&Bin]) -> Option<LightNoise> {
    let (mut s0, mut s1, mut s2, mut t0, mut t1) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for bin in bins {
        let (level, variance) = (f64::from(bin.level), f64::from(bin.variance));
        let weight = f64::from(bin.share) / variance.max(1e-6).powi(2);
        s0 += weight;
        s1 += weight * level;
        s2 += weight * level * level;
        t0 += weight * variance;
        t1 += weight * level * variance;
    }
    let determinant = s0 * s2 - s1 * s1;
    if determinant <= 1e-9 * s0 * s2 {
        return None;
    }
    let gain = (s0 * t1 - s1 * t0) / determinant;
    Some(LightNoise { base: ((t0 - gain * s1) / s0) as f32, gain: gain as f32 })
}
