//! The noise of a picture as it is: its level, whether it is white, whether it grows with the light, and JPEG.
//!
//! A picture is cut into 8×8 blocks, and each block is transformed into cosine waves. The waves are sorted into six rings of
//! frequency. The noise is what the flattest groups of blocks hold:
//!
//! * White noise has the same power in every ring. Texture adds to it, and adds more to the lower rings. So the finest
//!   ring gives the level, less what its slope to the ring before says of texture.
//! * Noise that is smeared over neighbours, by a resize or a camera's interpolation, is weaker in the fine rings. It is
//!   believed only if many groups are equally flat; texture without noise has no such lower end.
//! * JPEG rounds waves to multiples of known steps. The quality is that whose multiples the waves lie at, and the noise
//!   before the rounding is that which leaves such waves.
//! * The noise of light grows with the level. In each range of levels, the lower end of the blocks' variances is a point of
//!   a line.
//!
//! Blocks without any detail are left out. So are blocks that are clipped, unless they are much flatter than the others.

mod blocks;
mod line;
mod quality;
mod spectrum;

use std::fmt;

use crate::estimate::estimate_sigma;
use crate::image::{Image, Raster};
use blocks::{Block, Blocks, RINGS, compensated, unclipped};
pub use line::LightNoise;
use line::light_noise;
use spectrum::{Spectrum, ramp};

/// In pictures with more pixels than this, only a part is measured.
const MOST_PIXELS: usize = 1 << 21;
/// Number of windows along each side of such a picture.
const WINDOWS: usize = 4;
/// A picture whose values span less than this share of the file's range is measured on the scale of what it holds.
const DARK: f32 = 0.25;
/// Share of groups without any detail above which a picture has no noise.
const CONSTANT: f32 = 0.1;
/// Blocks that are partly clipped are measured, too, if they hold less than this share of the power of the others.
const FLATTER: f32 = 0.75;
/// Noise whose middle ring has this many times the power of the finest one is not white.
const COLORED: f32 = 1.7;

/// The noise of a picture. Levels are standard deviations on the scale 0 … 255 of the file's range, unless
/// [`range`](Self::range) says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseLevel {
    /// Standard deviation of the noise, the root mean square over the channels.
    pub sigma: f32,
    /// Standard deviation of white noise that is as strong as this noise in coarse detail. For white noise it is `sigma`.
    /// It is the level that a denoiser for white noise is told.
    pub coarse: f32,
    /// Power of the noise in six rings of frequency, for each channel. Ring `k` ends at 1.7, 2.9, 4.1, 5.5, 7.2 and ∞ half
    /// waves per 8 pixels. For white noise all are equal.
    pub spectra: Vec<[f32; RINGS]>,
    /// Whether the noise is smeared over neighbours.
    pub correlated: bool,
    /// Quality of the JPEG that the picture was, if it was one.
    pub jpeg: Option<u8>,
    /// Variance against level, for noise that grows with the light.
    pub light: Option<LightNoise>,
    /// The lowest and the highest value of the picture if it fills less than a quarter of the file's range. All levels are
    /// then on the scale 0 … 255 of this range.
    pub range: Option<[f32; 2]>,
    /// Whether the flattest parts of the picture may be texture, so that its noise cannot be told. The levels are then those
    /// that are certain, often 0.
    pub doubtful: bool,
}

impl NoiseLevel {
    /// White noise of this standard deviation on the scale 0 … 255, in a picture with this number of channels.
    pub fn white(sigma: f32, channels: usize) -> Self {
        Self {
            sigma,
            coarse: sigma,
            spectra: vec![[sigma * sigma; RINGS]; channels],
            correlated: false,
            jpeg: None,
            light: None,
            range: None,
            doubtful: false,
        }
    }

    /// Measures the noise of a picture. `None` if a side has fewer than seven pixels.
    ///
    /// A picture of less than about 80×80 pixels has too few blocks. Its noise is taken as white, and the level is that of
    /// [`estimate_sigma`].
    pub fn measure(picture: &impl Raster) -> Option<Self> {
        let [channels, height, width] = picture.shape();
        let parts: Vec<Image> = windows(height, width)
            .into_iter()
            .map(|[top, left, h, w]| picture.window(top, left, h, w))
            .collect();
        let scale = Scale::of(&parts);
        let mut level = Self { range: scale.range, ..Self::white(0.0, channels) };
        level.jpeg = if scale.eight_bits { jpeg_quality(&parts) } else { None };
        let found = Found::all(&parts, &scale, level.jpeg);
        if found.iter().all(|found| found.noise == Noise::Unknown) {
            let sigma = estimate_sigma(picture)? * scale.factor / 255.0;
            return Some(Self {
                jpeg: level.jpeg,
                range: scale.range,
                ..Self::white(sigma, channels)
            });
        }
        level.correlated = found.iter().any(|found| matches!(found.noise, Noise::Colored(_)));
        level.doubtful = found.iter().any(|found| found.doubtful);
        level.spectra = (0..channels).map(|c| found[c.min(found.len() - 1)].spectrum()).collect();
        let known: Vec<[f32; RINGS]> = found
            .iter()
            .filter(|found| found.noise != Noise::Unknown)
            .map(Found::spectrum)
            .collect();
        let mean = |of: fn(&[f32; RINGS]) -> f32| {
            (known.iter().map(of).sum::<f32>() / known.len() as f32).sqrt()
        };
        (level.sigma, level.coarse) = (mean(power), mean(coarse));
        // A channel that is clipped everywhere has the noise of the others.
        for (spectrum, found) in level.spectra.iter_mut().zip(&found) {
            if found.noise == Noise::Unknown {
                *spectrum = [level.sigma * level.sigma; RINGS];
            }
        }
        if !level.correlated && level.jpeg.is_none() && level.sigma > 0.0 {
            let blocks: Vec<Block> = found.into_iter().flat_map(|found| found.blocks).collect();
            level.light = light_noise(&blocks);
        }
        Some(level)
    }

    /// Standard deviation of the noise on the scale 0 … 255 of the file's range.
    pub fn file_sigma(&self) -> f32 {
        self.sigma * self.range.map_or(1.0, |[low, high]| high - low)
    }

    /// The same noise with all levels multiplied by `factor`.
    pub fn scaled(&self, factor: f32) -> Self {
        let mut scaled = self.clone();
        scaled.sigma *= factor;
        scaled.coarse *= factor;
        let square = factor * factor;
        scaled.spectra.iter_mut().flatten().for_each(|power| *power *= square);
        if let Some(light) = &mut scaled.light {
            light.base *= square;
            light.gain *= square;
        }
        scaled
    }
}

impl fmt::Display for NoiseLevel {
    /// Such as `sigma 9.7, JPEG 75, correlated`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range {
            None => write!(f, "sigma {:.1}", self.sigma)?,
            Some([low, high]) => {
                write!(f, "sigma {:.3}, dark: ", self.file_sigma())?;
                write!(f, "{:.1} % of the range is used", 100.0 * (high - low))?;
            }
        }
        if self.light.is_some() {
            write!(f, ", grows with the light")?;
        }
        if let Some(quality) = self.jpeg {
            write!(f, ", JPEG {quality}")?;
        }
        if self.correlated {
            write!(f, ", correlated")?;
        }
        Ok(())
    }
}

/// Mean power over all waves of a block.
fn power(spectrum: &[f32; RINGS]) -> f32 {
    let counts = blocks::counts();
    let total: f32 = counts.iter().sum();
    spectrum.iter().zip(counts).map(|(power, count)| power * count).sum::<f32>() / total
}

/// Power in coarse detail. White noise of this power is as strong there. The factor makes up for the fall towards finer
/// rings.
fn coarse(spectrum: &[f32; RINGS]) -> f32 {
    let fall = (spectrum[1] / spectrum[3].max(1e-12)).clamp(1.0, 1.2);
    spectrum[1] * fall
}

/// The scale of the values: they are `(value - offset) · factor`.
struct Scale {
    offset: f32,
    factor: f32,
    range: Option<[f32; 2]>,
    /// Whether all values are multiples of 1/255.
    eight_bits: bool,
    /// Variance of the rounding to the file's levels.
    rounding: f32,
}

impl Scale {
    fn of(parts: &[Image]) -> Self {
        let values = || parts.iter().flat_map(|part| part.data.iter().copied());
        let low = values().fold(f32::INFINITY, f32::min);
        let high = values().fold(f32::NEG_INFINITY, f32::max);
        let whole = |v: f32, top: f32| (v * top - (v * top).round()).abs() < 2e-3;
        let eight_bits = values().step_by(7).all(|v| whole(v, 255.0));
        let dark = !eight_bits && high > low && high - low < DARK && low >= 0.0;
        let factor = if dark { 255.0 / (high - low) } else { 255.0 };
        let step = match eight_bits {
            true => factor / 255.0,
            false => factor / 65535.0,
        };
        Self {
            offset: if dark { low } else { 0.0 },
            factor,
            range: dark.then_some([low, high]),
            eight_bits,
            rounding: step * step / 12.0,
        }
    }
}

/// The noise of one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Noise {
    /// Too few blocks can be measured.
    Unknown,
    /// The same variance in all rings.
    White(f32),
    Colored([f32; RINGS]),
}

struct Found {
    noise: Noise,
    doubtful: bool,
    /// The blocks that can be measured.
    blocks: Vec<Block>,
}

impl Found {
    /// The noise of each channel. JPEG stores luma and colour differences, so that the noise of a colour picture that was a
    /// JPEG is measured in the luma, and is the same for all channels.
    fn all(parts: &[Image], scale: &Scale, jpeg: Option<u8>) -> Vec<Self> {
        let channels = parts[0].channels;
        if jpeg.is_none() || channels != 3 {
            return (0..channels).map(|c| Self::of(parts, [c, c], scale, jpeg)).collect();
        }
        let luma: Vec<Image> = parts.iter().map(luma).collect();
        let mut found = Self::of(&luma, [0, 1], scale, jpeg);
        if let Noise::White(variance) = &mut found.noise {
            *variance /= LUMA_POWER;
        }
        vec![found]
    }

    /// The noise of the first of two channels. The second shows which pixels are clipped.
    fn of(parts: &[Image], channels: [usize; 2], scale: &Scale, jpeg: Option<u8>) -> Self {
        let all = Blocks::of_all(parts, channels, scale.offset, scale.factor);
        let constant =
            |block: &Block| block.energy.iter().all(|e| *e < 1e-6 + 0.01 * scale.rounding);
        let every = all.groups();
        let groups = unclipped(every.clone());
        let count = groups.len() as f32;
        let groups: Vec<Block> = groups.into_iter().filter(|group| !constant(group)).collect();
        let nothing = |noise| Self { noise, doubtful: false, blocks: Vec::new() };
        if count > 0.0 && 1.0 - groups.len() as f32 / count > CONSTANT {
            return nothing(Noise::White(0.0));
        }
        let measure = |groups: &[Block]| Spectrum::measure(groups, scale.rounding, jpeg.is_some());
        let mut spectrum = measure(&groups);
        // A bright page is clipped where it is flat, and what is not clipped is its text.
        // JPEG moves clipped pixels away from the limits, so that their number says little there.
        let is_clipped = jpeg.is_none() && every.iter().any(|group| group.clipped > 0.0);
        let clipped = if is_clipped { measure(&compensated(&every)) } else { None };
        if let Some(flatter) = clipped {
            let finest = |spectrum: &Spectrum| power(&spectrum.power);
            if spectrum.as_ref().is_none_or(|free| finest(&flatter) < FLATTER * finest(free)) {
                spectrum = Some(flatter);
            }
        }
        let Some(spectrum) = spectrum else {
            return nothing(Noise::Unknown);
        };
        let (noise, doubtful) = match jpeg {
            Some(quality) => (under_jpeg(&spectrum, &all, quality, scale.rounding), false),
            None => judge(&spectrum, scale.rounding),
        };
        let blocks = unclipped(all.blocks).into_iter().filter(|block| !constant(block)).collect();
        Self { noise, doubtful, blocks }
    }

    fn spectrum(&self) -> [f32; RINGS] {
        match self.noise {
            Noise::Unknown => [0.0; RINGS],
            Noise::White(variance) => [variance; RINGS],
            Noise::Colored(power) => power,
        }
    }
}

/// Power of white noise in the luma, for noise of power 1 in each of the three channels.
const LUMA_POWER: f32 = 0.299 * 0.299 + 0.587 * 0.587 + 0.114 * 0.114;

/// The luma of a picture, and a channel that is 0 where a channel of the picture is at a limit of the file.
fn luma(picture: &Image) -> Image {
    let Image { height, width, mut data, .. } = picture.to_gray();
    let area = data.len();
    data.extend((0..area).map(|i| {
        let clipped = (0..picture.channels).any(|c| {
            let value = picture.data[c * area + i];
            value == 0.0 || value == 1.0
        });
        if clipped { 0.0 } else { 0.5 }
    }));
    Image { channels: 2, height, width, data }
}

/// White or coloured noise from a spectrum, and whether the spectrum may be texture.
fn judge(spectrum: &Spectrum, rounding: f32) -> (Noise, bool) {
    let power = spectrum.power.map(|power| (power - rounding).max(0.0));
    let finest = power[5];
    // Texture falls towards the finest ring as it does before it, and noise does not.
    let slope = 1.0 - ramp(power[4] / finest.max(1e-12), 1.3, 1.6);
    let white = (2.0 * finest - power[4]).clamp(0.0, finest) * slope;
    let colored = power[2] > COLORED * finest.max(rounding);
    if !colored {
        return (Noise::White(white), false);
    }
    let trust = Spectrum { power, ..spectrum.clone() }.trust();
    if trust == 0.0 || power[2] < 12.0 * rounding {
        return (Noise::White(white), white < 0.5 * finest && finest > 12.0 * rounding);
    }
    // The lowest ring has most of the texture. Noise that is smeared over few pixels hardly grows towards it.
    let mut noise = power;
    noise[0] = noise[0].min(1.5 * noise[1]);
    for power in &mut noise {
        *power = trust * *power + (1.0 - trust) * white;
    }
    (Noise::Colored(noise), false)
}

/// The noise before JPEG. A denoiser sees it nearly white: what the rounding takes from the fine waves, the edges of the
/// blocks give back.
fn under_jpeg(spectrum: &Spectrum, blocks: &Blocks, quality: u8, rounding: f32) -> Noise {
    let sigma = quality::noise_under(&blocks.energies(&spectrum.flat), quality, rounding);
    Noise::White(sigma * sigma * ramp(spectrum.share, 0.02, 0.05))
}

/// Above this quality, the steps of JPEG are as small as the rounding to 8 bits. They change the noise little, and cannot be told
/// from faint noise.
const FINEST_JPEG: u8 = 93;

/// The quality of JPEG from the luma of a picture.
fn jpeg_quality(parts: &[Image]) -> Option<u8> {
    let mut waves = Vec::new();
    for part in parts {
        let blocks = Blocks::of(&luma(part), [0, 1], 0.0, 255.0);
        let free = blocks.blocks.iter().map(|block| block.clipped == 0.0);
        waves.extend(blocks.waves.iter().zip(free).filter(|(_, free)| *free).map(|(w, _)| *w));
    }
    quality::quality(&waves).filter(|quality| *quality <= FINEST_JPEG)
}

/// The whole picture, or windows spread over a large picture: top, left, height, width. They begin at multiples of 8, as the
/// blocks of JPEG do.
fn windows(height: usize, width: usize) -> Vec<[usize; 4]> {
    if height * width <= MOST_PIXELS {
        return vec![[0, 0, height, width]];
    }
    let side = ((MOST_PIXELS / (WINDOWS * WINDOWS)) as f64).sqrt() as usize / 16 * 16;
    let (h, w) = (side.min(height), side.min(width));
    let starts = |length: usize| {
        let last = length.saturating_sub(side);
        (0..WINDOWS).map(move |k| k * last / (WINDOWS - 1) / 8 * 8)
    };
    starts(height).flat_map(|top| starts(width).map(move |left| [top, left, h, w])).collect()
}

#[cfg(test)]
mod tests;
