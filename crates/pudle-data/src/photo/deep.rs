//! Samples of more than 16 bits, signed samples and real numbers.

use image::DynamicImage;

use crate::image::Image;

/// The type of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

impl Kind {
    /// The type for a format of TIFF (1 unsigned, 2 signed, 3 real) and a number of bits.
    pub(super) fn of(format: u64, bits: u64) -> Option<Self> {
        Some(match (format, bits) {
            (1, 8) => Self::U8,
            (1, 16) => Self::U16,
            (1, 32) => Self::U32,
            (1, 64) => Self::U64,
            (2, 8) => Self::I8,
            (2, 16) => Self::I16,
            (2, 32) => Self::I32,
            (2, 64) => Self::I64,
            (3, 16) => Self::F16,
            (3, 32) => Self::F32,
            (3, 64) => Self::F64,
            _ => return None,
        })
    }

    /// The format of TIFF: 1 unsigned, 2 signed, 3 real.
    pub(super) fn format(self) -> u16 {
        match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => 1,
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => 2,
            Self::F16 | Self::F32 | Self::F64 => 3,
        }
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    pub(super) fn is_real(self) -> bool {
        self.format() == 3
    }

    /// The name in messages.
    pub(super) fn name(self) -> String {
        let bits = 8 * self.bytes();
        match self.format() {
            1 => format!("whole numbers of {bits} bits"),
            2 => format!("signed numbers of {bits} bits"),
            _ => format!("real numbers of {bits} bits"),
        }
    }

    /// Appends a value, rounded and limited to what the type can hold, in the byte order of this machine.
    fn push(self, value: f64, bytes: &mut Vec<u8>) {
        let whole = value.round();
        match self {
            Self::U8 => bytes.push(whole as u8),
            Self::I8 => bytes.extend((whole as i8).to_ne_bytes()),
            Self::U16 => bytes.extend((whole as u16).to_ne_bytes()),
            Self::I16 => bytes.extend((whole as i16).to_ne_bytes()),
            Self::U32 => bytes.extend((whole as u32).to_ne_bytes()),
            Self::I32 => bytes.extend((whole as i32).to_ne_bytes()),
            Self::U64 => bytes.extend((whole as u64).to_ne_bytes()),
            Self::I64 => bytes.extend((whole as i64).to_ne_bytes()),
            Self::F16 => bytes.extend(half::f16::from_f64(value).to_ne_bytes()),
            Self::F32 => bytes.extend((value as f32).to_ne_bytes()),
            Self::F64 => bytes.extend(value.to_ne_bytes()),
        }
    }

    /// The values of samples in the byte order of this machine.
    fn values(self, bytes: &[u8]) -> Vec<f64> {
        macro_rules! values {
            ($of:ty, $value:expr) => {
                bytes
                    .chunks_exact(size_of::<$of>())
                    .map(|b| $value(<$of>::from_ne_bytes(b.try_into().expect("its size"))))
                    .collect()
            };
        }
        match self {
            Self::U8 => values!(u8, f64::from),
            Self::I8 => values!(i8, f64::from),
            Self::U16 => values!(u16, f64::from),
            Self::I16 => values!(i16, f64::from),
            Self::U32 => values!(u32, f64::from),
            Self::I32 => values!(i32, f64::from),
            Self::U64 => values!(u64, |v| v as f64),
            Self::I64 => values!(i64, |v| v as f64),
            Self::F16 => values!(half::f16, half::f16::to_f64),
            Self::F32 => values!(f32, f64::from),
            Self::F64 => values!(f64, |v| v),
        }
    }
}

/// Which values are black and white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub low: f64,
    pub high: f64,
}

/// Pixels with samples of any type, interleaved.
#[derive(Clone, Debug)]
pub(super) struct Deep {
    pub width: usize,
    pub height: usize,
    /// Samples of a pixel: 1 grey, 2 with alpha, 3 colour, 4 with alpha.
    pub stored: usize,
    pub kind: Kind,
    /// Black and white.
    pub range: Range,
    /// `height × width × stored` values.
    pub samples: Vec<f64>,
}

/// Real numbers up to this far outside 0…1 are noise on values in 0…1.
const OVERSHOOT: f64 = 0.25;

impl Deep {
    /// Pixels from bytes in this machine's order. The range is that of the values, until [`settle`](Self::settle) decides.
    ///
    /// # Errors
    /// Names the first sample that is not finite.
    pub(super) fn new(
        [height, width, stored]: [usize; 3],
        kind: Kind,
        bytes: &[u8],
    ) -> Result<Self, String> {
        let samples = kind.values(bytes);
        if let Some(first) = samples.iter().position(|value| !value.is_finite()) {
            let (row, column) = (first / (stored * width), first / stored % width);
            let count = samples.iter().filter(|value| !value.is_finite()).count();
            return Err(format!(
                "{count} samples are not finite, the first, {}, at row {row}, column {column} (counted from 0)",
                samples[first]
            ));
        }
        Ok(Self { width, height, stored, kind, range: Range { low: 0.0, high: 1.0 }, samples })
    }

    /// Pixels of 8 or 16 bits, with a range.
    pub(super) fn from_plain(pixels: &DynamicImage, range: Range) -> Self {
        let color = pixels.color();
        let stored = usize::from(color.channel_count());
        let deep = usize::from(color.bytes_per_pixel()) / stored == 2;
        let kind = if deep { Kind::U16 } else { Kind::U8 };
        let samples = kind.values(pixels.as_bytes());
        let (width, height) = (pixels.width() as usize, pixels.height() as usize);
        Self { width, height, stored, kind, range, samples }
    }

    /// Samples of a pixel without alpha.
    pub(super) fn colors(&self) -> usize {
        if self.stored < 3 { 1 } else { 3 }
    }

    /// Decides which values are black and white: the given range, or 0…1 for real numbers that lie there, 0…255 for real
    /// numbers that look like bytes, and otherwise the lowest and the highest value. Returns what has to be said of it.
    pub(super) fn settle(&mut self, given: Option<Range>) -> Option<String> {
        if let Some(range) = given {
            self.range = range;
            return None;
        }
        let (stored, colors) = (self.stored, self.colors());
        let values = || self.samples.chunks_exact(stored).flat_map(|pixel| &pixel[..colors]);
        let low = values().copied().fold(f64::INFINITY, f64::min);
        let high = values().copied().fold(f64::NEG_INFINITY, f64::max);
        let found = format!("its values go from {} to {}", short(low), short(high));
        let real = self.kind.is_real();
        if real && low >= -OVERSHOOT && high <= 1.0 + OVERSHOOT {
            self.range = Range { low: 0.0, high: 1.0 };
            let outside = low < 0.0 || high > 1.0;
            return outside.then(|| format!("{found}; 0 is taken as black and 1 as white"));
        }
        let bytes = 255.0 * (1.0 + OVERSHOOT);
        if real && low >= -255.0 * OVERSHOOT && (32.0..=bytes).contains(&high) {
            self.range = Range { low: 0.0, high: 255.0 };
            return Some(format!("{found}; 0 is taken as black and 255 as white"));
        }
        let high = if high > low { high } else { low + 1.0 };
        self.range = Range { low, high };
        Some(format!("{found} ({}), which are taken as black and white", self.kind.name()))
    }

    fn shown(&self, value: f64) -> f32 {
        ((value - self.range.low) / (self.range.high - self.range.low)) as f32
    }

    /// The first `channels` samples of the pixels of a window.
    pub(super) fn window(&self, channels: usize, [top, left, h, w]: [usize; 4]) -> Image {
        Image::from_fn(channels, h, w, |c, y, x| {
            self.shown(self.samples[((top + y) * self.width + left + x) * self.stored + c])
        })
    }

    /// Replaces the samples of a window but for alpha. Values outside 0…1 stay outside. A value that is not changed keeps
    /// all its digits.
    pub(super) fn put(&mut self, [top, left]: [usize; 2], part: &Image) {
        let Range { low, high } = self.range;
        for y in 0..part.height {
            for x in 0..part.width {
                let at = ((top + y) * self.width + left + x) * self.stored;
                for c in 0..self.colors() {
                    let value = part.at(c.min(part.channels - 1), y, x);
                    if value != self.shown(self.samples[at + c]) {
                        self.samples[at + c] = low + f64::from(value) * (high - low);
                    }
                }
            }
        }
    }

    /// Whether three channels are equal everywhere.
    pub(super) fn is_gray(&self) -> bool {
        self.stored > 2
            && self.samples.chunks_exact(self.stored).all(|p| p[0] == p[1] && p[1] == p[2])
    }

    /// The samples in the byte order of this machine.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.samples.len() * self.kind.bytes());
        for &value in &self.samples {
            self.kind.push(value, &mut bytes);
        }
        bytes
    }

    /// Pixels of 8 or 16 bits. Samples of other types are brought to 16 bits by their range, and limited to it: `clipped`
    /// says whether that changed any.
    pub(super) fn to_plain(&self) -> (DynamicImage, bool) {
        let bits8 = self.kind == Kind::U8;
        let keep = matches!(self.kind, Kind::U8 | Kind::U16);
        let colors = self.colors();
        let mut clipped = false;
        let values = self.samples.iter().enumerate().map(|(k, &value)| {
            if keep {
                return value.round().clamp(0.0, if bits8 { 255.0 } else { 65535.0 });
            }
            // Alpha has the range of its type.
            let shown = if k % self.stored >= colors {
                value / if self.kind.is_real() { 1.0 } else { self.most() }
            } else {
                (value - self.range.low) / (self.range.high - self.range.low)
            };
            clipped |= !(-1e-6..=1.0 + 1e-6).contains(&shown);
            (shown.clamp(0.0, 1.0) * 65535.0).round()
        });
        let (w, h) = (self.width as u32, self.height as u32);
        let pixels = if bits8 {
            plain8(self.stored, w, h, values.map(|v| v as u8).collect())
        } else {
            plain16(self.stored, w, h, values.map(|v| v as u16).collect())
        };
        (pixels, clipped)
    }

    /// The highest value of the type.
    fn most(&self) -> f64 {
        let bits = 8 * self.kind.bytes() as i32 - i32::from(self.kind.format() == 2);
        2f64.powi(bits) - 1.0
    }

    /// The picture turned as an orientation of Exif says.
    pub(super) fn oriented(self, orientation: image::metadata::Orientation) -> Self {
        use image::metadata::Orientation as O;
        if orientation == O::NoTransforms {
            return self;
        }
        let (h, w, n) = (self.height, self.width, self.stored);
        let swaps = swaps(orientation);
        let (height, width) = if swaps { (w, h) } else { (h, w) };
        let mut samples = Vec::with_capacity(self.samples.len());
        for y in 0..height {
            for x in 0..width {
                let (from_y, from_x) = match orientation {
                    O::NoTransforms => (y, x),
                    O::FlipHorizontal => (y, w - 1 - x),
                    O::Rotate180 => (h - 1 - y, w - 1 - x),
                    O::FlipVertical => (h - 1 - y, x),
                    O::Rotate90FlipH => (x, y),
                    O::Rotate90 => (h - 1 - x, y),
                    O::Rotate270FlipH => (h - 1 - x, w - 1 - y),
                    O::Rotate270 => (x, w - 1 - y),
                };
                let at = (from_y * w + from_x) * n;
                samples.extend_from_slice(&self.samples[at..at + n]);
            }
        }
        Self { width, height, samples, ..self }
    }
}

/// Whether an orientation exchanges width and height.
pub(super) fn swaps(orientation: image::metadata::Orientation) -> bool {
    use image::metadata::Orientation as O;
    matches!(orientation, O::Rotate90 | O::Rotate270 | O::Rotate90FlipH | O::Rotate270FlipH)
}

/// A number with few digits.
fn short(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e7 {
        return format!("{value}");
    }
    match value.abs() {
        0.001..1e7 => format!("{value:.3}"),
        _ => format!("{value:.3e}"),
    }
}

/// Pixels of 8 bits, of which `samples` has 1 to 4 each.
pub(super) fn plain8(stored: usize, w: u32, h: u32, samples: Vec<u8>) -> DynamicImage {
    const FITS: &str = "one sample for each";
    match stored {
        1 => DynamicImage::ImageLuma8(image::ImageBuffer::from_raw(w, h, samples).expect(FITS)),
        2 => DynamicImage::ImageLumaA8(image::ImageBuffer::from_raw(w, h, samples).expect(FITS)),
        3 => DynamicImage::ImageRgb8(image::ImageBuffer::from_raw(w, h, samples).expect(FITS)),
        _ => DynamicImage::ImageRgba8(image::ImageBuffer::from_raw(w, h, samples).expect(FITS)),
    }
}

/// [`plain8`] for 16 bits.
pub(super) fn plain16(stored: usize, w: u32, h: u32, samples: Vec<u16>) -> DynamicImage {
    const FITS: &str = "one sample for each";
    match stored {
        1 => DynamicImage::ImageLuma16(image::ImageBuffer::from_raw(w, h, samples).expect(FITS)),
        2 => DynamicImage::ImageLumaA16(image::ImageBuffer::from_raw(w, h, samples).expect(FITS)),
        3 => DynamicImage::ImageRgb16(image::ImageBuffer::from_raw(w, h, samples).expect(FITS)),
        _ => DynamicImage::ImageRgba16(image::ImageBuffer::from_raw(w, h, samples).expect(FITS)),
    }
}
