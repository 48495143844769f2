//! Dead leaves: random pictures with the statistics of natural ones.

use std::f32::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use pudle_core::RangeError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::cache::Cache;
use crate::error::{DataError, Result, check_count, check_real};
use crate::image::Image;
use crate::pictures::Pictures;
use crate::rng::{Stream, step_rng};

/// A pixel with less transparency than this (half a step of an 8-bit file) counts as covered.
const OPAQUE: f32 = 1.0 / 512.0;

/// Range over which the colour channels of a leaf differ from its grey level.
const CHROMA: f32 = 0.35;

/// The settings of [`DeadLeaves`].
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLeavesConfig {
    /// Rows of a picture, 1 to 4096.
    pub height: usize,
    /// Columns of a picture, 1 to 4096.
    pub width: usize,
    /// 1 for grey leaves, 3 for coloured ones.
    pub channels: usize,
    /// Smallest radius in pixels, 0.5 to 4096.
    pub radius_min: f32,
    /// Largest radius in pixels, `radius_min` to 4096.
    pub radius_max: f32,
    /// Width in pixels over which an edge fades, 0 to 64. 1 is a sharp anti-aliased edge, 0 an
    /// aliased one. Wider edges look out of focus.
    pub edge: f32,
    /// Strength of the shading across a leaf, 0 to 1: the brightness changes linearly by this much
    /// from one side to the other, in a random direction. Leaves are flat for 0.
    pub shading: f32,
    /// Number of different pictures, at least 1.
    pub count: usize,
    /// Seed of the pictures.
    pub seed: u64,
}

impl Default for DeadLeavesConfig {
    /// A thousand grey pictures of 180 × 180.
    fn default() -> Self {
        Self {
            height: 180,
            width: 180,
            channels: 1,
            radius_min: 2.0,
            radius_max: 90.0,
            edge: 1.0,
            shading: 0.15,
            count: 1000,
            seed: 0,
        }
    }
}

impl DeadLeavesConfig {
    fn check(&self) -> Result<(), RangeError> {
        check_count("height", self.height, 1, 4096)?;
        check_count("width", self.width, 1, 4096)?;
        if !matches!(self.channels, 1 | 3) {
            return Err(RangeError::new("channels", self.channels, "1 or 3"));
        }
        check_real("radius_min", self.radius_min, 0.5, 4096.0)?;
        check_real("radius_max", self.radius_max, self.radius_min, 4096.0)?;
        check_real("edge", self.edge, 0.0, 64.0)?;
        check_real("shading", self.shading, 0.0, 1.0)?;
        check_count("count", self.count, 1, usize::MAX)
    }
}

/// Pictures of occluding discs, in any number, that replace photographs.
///
/// Discs of random grey levels or colours cover a plane completely. Their centres are
/// uniform, and their radii have the density ∝ r⁻³ between two bounds. This is the scale-invariant law: edges, occlusions,
/// flat regions and power spectrum are similar to those of natural
/// pictures (Lee, Mumford & Huang, *Occlusion models for natural images*, IJCV 2001).
///
/// Picture `i` is a function of the settings and `i` alone.
#[derive(Debug)]
pub struct DeadLeaves {
    config: DeadLeavesConfig,
    cache: Cache,
}

/// A picture that is painted from the front to the back, so that hidden pixels cost nothing.
struct Canvas {
    image: Image,
    /// The transparency that is left of each pixel.
    open: Vec<f32>,
    /// The columns of each row beyond which no pixel is open.
    columns: Vec<Range<usize>>,
    uncovered: usize,
}

struct Leaf {
    x: f32,
    y: f32,
    radius: f32,
    color: [f32; 3],
    /// Change of brightness per pixel to the right and downwards.
    slope: (f32, f32),
}

impl DeadLeaves {
    /// Checks the settings. Pictures are drawn when they are asked for.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range.
    pub fn new(config: DeadLeavesConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config, cache: Cache::new(512) })
    }

    /// Holds at most `capacity` pictures in memory, instead of 512.
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.cache = Cache::new(capacity);
        self
    }

    /// The settings.
    pub fn config(&self) -> &DeadLeavesConfig {
        &self.config
    }

    /// Draws picture `i`, whether or not it is below `count`.
    pub fn draw(&self, i: usize) -> Image {
        let c = &self.config;
        let mut rng = step_rng(c.seed, Stream::DeadLeaves, i as u64);
        let mut canvas = Canvas {
            image: Image::from_fn(c.channels, c.height, c.width, |_, _, _| 0.0),
            open: vec![1.0; c.height * c.width],
            columns: vec![0..c.width; c.height],
            uncovered: c.height * c.width,
        };
        for _ in 0..self.most_leaves() {
            if canvas.uncovered == 0 {
                break;
            }
            canvas.put(&self.leaf(&mut rng), c.edge);
        }
        canvas.finish()
    }

    /// A bound on the number of leaves of a picture. A pixel stays open under n leaves with
    /// probability exp(-n · area of a leaf / area of all centres). For 60 in the exponent, no
    /// pixel of the largest picture is expected to stay open.
    fn most_leaves(&self) -> usize {
        let (a, b) = (f64::from(self.config.radius_min), f64::from(self.config.radius_max));
        // E[r²] under the density ∝ r⁻³, with its limit a² for b → a.
        let ratio = (b / a).max(1.0 + 1e-6);
        let mean_square = 2.0 * a * a * ratio.ln() / (1.0 - ratio.powi(-2));
        let plane = |side: usize| side as f64 + 2.0 * b;
        let centres = plane(self.config.height) * plane(self.config.width);
        (60.0 * centres / (std::f64::consts::PI * mean_square)).ceil() as usize
    }

    fn leaf(&self, rng: &mut ChaCha8Rng) -> Leaf {
        let c = &self.config;
        let radius = radius(rng.random(), c.radius_min, c.radius_max);
        // Centres reach so far outside that every part of the picture is equally likely to be covered.
        let mut centre =
            |side: usize| (side as f32 + 2.0 * c.radius_max) * rng.random::<f32>() - c.radius_max;
        let (x, y) = (centre(c.width), centre(c.height));
        let level: f32 = rng.random();
        let mut color = [level; 3];
        if c.channels == 3 {
            color = color.map(|v| v + CHROMA * (rng.random::<f32>() - 0.5));
        }
        let (angle, across) = (TAU * rng.random::<f32>(), c.shading / (2.0 * radius));
        Leaf { x, y, radius, color, slope: (across * angle.cos(), across * angle.sin()) }
    }
}

/// A radius of density ∝ r⁻³ on `[low, high]`, by inverting its distribution function
/// (low⁻² - r⁻²) / (low⁻² - high⁻²) at `u` in \[0, 1).
fn radius(u: f32, low: f32, high: f32) -> f32 {
    let (a, b) = (low.powi(-2), high.powi(-2));
    // Rounding must not leave the bounds.
    (a - u * (a - b)).powf(-0.5).clamp(low, high)
}

impl Canvas {
    fn put(&mut self, leaf: &Leaf, edge: f32) {
        let (height, width) = (self.image.height, self.image.width);
        // An edge fades over `edge` pixels, half of them on either side of the radius.
        let reach = leaf.radius + edge / 2.0;
        let span = |middle: f32, reach: f32, side: usize| {
            // Floats beyond the range of integers saturate, so off-picture leaves give no pixels.
            let low = (middle - reach).ceil().max(0.0) as usize;
            low..((middle + reach).floor() + 1.0).clamp(0.0, side as f32) as usize
        };
        for y in span(leaf.y, reach, height) {
            let columns = &mut self.columns[y];
            if columns.start == columns.end {
                continue;
            }
            let row = y * width;
            let dy = y as f32 - leaf.y;
            let half = (reach * reach - dy * dy).max(0.0).sqrt();
            let reached = span(leaf.x, half, width);
            for x in reached.start.max(columns.start)..reached.end.min(columns.end) {
                let open = &mut self.open[row + x];
                if *open <= OPAQUE {
                    continue;
                }
                let dx = x as f32 - leaf.x;
                let inside = reach - (dx * dx + dy * dy).sqrt();
                let alpha = if inside >= edge { 1.0 } else { (inside / edge).clamp(0.0, 1.0) };
                let shade = leaf.slope.0 * dx + leaf.slope.1 * dy;
                for c in 0..self.image.channels {
                    let value = (leaf.color[c] + shade).clamp(0.0, 1.0);
                    self.image.data[(c * height + y) * width + x] += *open * alpha * value;
                }
                *open *= 1.0 - alpha;
                if *open <= OPAQUE {
                    self.uncovered -= 1;
                }
            }
            while columns.start < columns.end && self.open[row + columns.start] <= OPAQUE {
                columns.start += 1;
            }
            while columns.start < columns.end && self.open[row + columns.end - 1] <= OPAQUE {
                columns.end -= 1;
            }
        }
    }

    /// Scales each pixel by the share that is covered, so that open rests do not darken it.
    fn finish(mut self) -> Image {
        for (i, value) in self.image.data.iter_mut().enumerate() {
            let open = self.open[i % self.open.len()];
            *value = if open < 1.0 { (*value / (1.0 - open)).min(1.0) } else { 0.5 };
        }
        self.image
    }
}

impl Pictures for DeadLeaves {
    fn len(&self) -> usize {
        self.config.count
    }

    fn picture(&self, i: usize) -> Result<Arc<Image>> {
        if i >= self.config.count {
            return Err(DataError::range("picture", i, format!("below {}", self.config.count)));
        }
        self.cache.get(i, || Ok(self.draw(i)))
    }

    fn channels(&self) -> usize {
        self.config.channels
    }

    fn describe(&self) -> String {
        let DeadLeavesConfig { count, height, width, channels, .. } = self.config;
        let kind = if channels == 1 { "grey" } else { "coloured" };
        format!("{count} {kind} dead leaves pictures of {height}×{width}")
    }
}

#[cfg(test)]
mod tests;
