//! The energies of a picture's 8×8 blocks in rings of frequency.

use std::sync::OnceLock;

use crate::image::Image;
use crate::jpeg::{AREA, SIDE, transform};

/// Number of rings.
pub(super) const RINGS: usize = 6;

/// Outer radii of the rings in half waves per block. The first begins above the mean.
const RADII: [f32; RINGS] = [1.7, 2.9, 4.1, 5.5, 7.2, 99.0];

/// The ring of each wave of a block; `None` for the mean.
pub(super) fn rings() -> &'static [Option<usize>; AREA] {
    static TABLE: OnceLock<[Option<usize>; AREA]> = OnceLock::new();
    TABLE.get_or_init(|| {
        std::array::from_fn(|i| {
            let radius = ((i / SIDE) as f32).hypot((i % SIDE) as f32);
            (radius > 0.0).then(|| RADII.iter().position(|outer| radius < *outer).unwrap_or(5))
        })
    })
}

/// Number of waves in each ring.
pub(super) fn counts() -> [f32; RINGS] {
    let mut counts = [0.0; RINGS];
    for ring in rings().iter().flatten() {
        counts[*ring] += 1.0;
    }
    counts
}

/// Statistics of one block, or the mean of four, in the units of the measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    /// Mean square of the waves of each ring.
    pub energy: [f32; RINGS],
    /// Mean value.
    pub level: f32,
    /// Share of pixels at the limits of the file, 0 or 1.
    pub clipped: f32,
    /// Number of the block, or of the first of the four.
    pub at: usize,
}

/// The waves of all blocks of a channel, and their statistics, row by row.
pub(super) struct Blocks {
    pub columns: usize,
    pub blocks: Vec<Block>,
    /// The transform of each block.
    pub waves: Vec<[f32; AREA]>,
}

impl Blocks {
    /// The blocks of a channel of several pictures of one size.
    pub fn of_all(parts: &[Image], channels: [usize; 2], offset: f32, scale: f32) -> Self {
        let mut all = Self { columns: parts[0].width / SIDE, blocks: vec![], waves: vec![] };
        for part in parts {
            let Self { blocks, waves, .. } = Self::of(part, channels, offset, scale);
            let first = all.blocks.len();
            all.blocks.extend(blocks.into_iter().map(|b| Block { at: first + b.at, ..b }));
            all.waves.extend(waves);
        }
        all
    }

    /// The blocks of the first of two channels. The second shows which pixels are at a limit of the file. Values are
    /// multiplied by `scale` after `offset` is taken off.
    pub fn of(picture: &Image, channels: [usize; 2], offset: f32, scale: f32) -> Self {
        let (rows, columns) = (picture.height / SIDE, picture.width / SIDE);
        let counts = counts();
        let mut blocks = Vec::with_capacity(rows * columns);
        let mut waves = Vec::with_capacity(rows * columns);
        for (row, column) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            let mut clipped = 0.0;
            let pixels: [f32; AREA] = std::array::from_fn(|i| {
                let place = (row * SIDE + i / SIDE, column * SIDE + i % SIDE);
                let [value, limit] = channels.map(|c| picture.at(c, place.0, place.1));
                if limit == 0.0 || limit == 1.0 {
                    clipped += 1.0 / AREA as f32;
                }
                (value - offset) * scale
            });
            let all = transform(&pixels);
            let mut energy = [0.0; RINGS];
            for (value, ring) in all.iter().zip(rings()) {
                if let Some(ring) = ring {
                    energy[*ring] += value * value / counts[*ring];
                }
            }
            let at = blocks.len();
            blocks.push(Block { energy, level: all[0] / SIDE as f32, clipped, at });
            waves.push(all);
        }
        Self { columns, blocks, waves }
    }

    /// The means of 2×2 blocks.
    pub fn groups(&self) -> Vec<Block> {
        let rows = self.blocks.len() / self.columns.max(1);
        let mut groups = Vec::with_capacity(self.blocks.len() / 4);
        for (y, x) in (0..rows / 2).flat_map(|y| (0..self.columns / 2).map(move |x| (y, x))) {
            let at = 2 * y * self.columns + 2 * x;
            let mut mean = Block { at, ..Block::default() };
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let block = self.blocks[at + dy * self.columns + dx];
                for (sum, value) in mean.energy.iter_mut().zip(block.energy) {
                    *sum += 0.25 * value;
                }
                mean.level += 0.25 * block.level;
                mean.clipped += 0.25 * block.clipped;
            }
            groups.push(mean);
        }
        groups
    }

    /// Mean squares of the waves of all blocks in the given groups.
    pub fn energies(&self, groups: &[usize]) -> [f32; AREA] {
        let mut energies = [0.0; AREA];
        for &at in groups {
            for block in [at, at + 1, at + self.columns, at + self.columns + 1] {
                for (sum, wave) in energies.iter_mut().zip(&self.waves[block]) {
                    *sum += wave * wave / (4 * groups.len()) as f32;
                }
            }
        }
        energies
    }
}

/// The variance of normal noise of variance 1 that is clipped at one limit, for shares of clipped values from 0 to 0.6 in
/// steps of 0.1: with `q` the share, `d` the distance of the limit from the mean and `φ` the density,
/// `1 - q - d φ + d² q - (d q - φ)²`.
const CLIPPED_VARIANCE: [f32; 7] = [1.0, 0.837, 0.694, 0.564, 0.447, 0.341, 0.247];

/// The blocks of which at most 0.6 is clipped, with the energies that their noise would have if it were not clipped.
/// Clipping a value changes it alone, so that white noise stays white.
pub(super) fn compensated(blocks: &[Block]) -> Vec<Block> {
    let last = CLIPPED_VARIANCE.len() - 1;
    let whole = |block: &&Block| block.clipped * 10.0 <= last as f32;
    let compensate = |block: &Block| {
        let place = block.clipped * 10.0;
        let low = (place as usize).min(last - 1);
        let between = CLIPPED_VARIANCE[low + 1] - CLIPPED_VARIANCE[low];
        let variance = CLIPPED_VARIANCE[low] + (place - low as f32) * between;
        Block { energy: block.energy.map(|energy| energy / variance), ..*block }
    };
    blocks.iter().filter(whole).map(compensate).collect()
}

/// The blocks that are hardly clipped, for clipped noise has less variance. If they are few, the least clipped fifth,
/// [`compensated`].
pub(super) fn unclipped(blocks: Vec<Block>) -> Vec<Block> {
    const MOST: f32 = 0.01;
    const FEWEST: usize = 20;
    let all = blocks.len();
    let (free, clipped): (Vec<Block>, Vec<Block>) =
        blocks.into_iter().partition(|block| block.clipped < MOST);
    if free.len() >= FEWEST.max(all / 20) {
        return free;
    }
    let mut blocks = [free, clipped].concat();
    blocks.sort_by(|a, b| a.clipped.total_cmp(&b.clipped));
    // Blocks of clipped pixels alone say nothing.
    let limit = blocks.get(all / 5).map_or(0.0, |block| block.clipped).clamp(MOST, 0.5);
    blocks.retain(|block| block.clipped <= limit);
    compensated(&blocks)
}
