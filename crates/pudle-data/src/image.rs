//! Pictures in memory.

#[cfg(test)]
mod tests;

use crate::error::{DataError, Result};

/// A planar picture, `channels × height × width`, pixels as `f32` with 0 black and 1 white.
///
/// The value at channel `c`, row `y`, column `x` is `data[(c * height + y) * width + x]`. Values
/// read from a file lie in \[0, 1\]; they may leave it, after noise for example, until
/// [`clip`](Self::clip) or [`write`](Self::write).
///
/// The fields are public so that other code can use a picture without copying it. Code that
/// fills them must keep `data.len() == channels * height * width`; [`Image::new`] checks this.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// 1 for grey, 3 for red, green, blue. Other numbers can be held but not written.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `channels * height * width` values, row by row, one channel after the other.
    pub data: Vec<f32>,
}

/// A picture that can be read and changed in windows.
pub trait Raster {
    /// Channels, height and width.
    fn shape(&self) -> [usize; 3];

    /// The window of `h × w` pixels whose upper left corner is at row `top`, column `left`.
    ///
    /// # Panics
    /// Panics if the window does not lie within the picture.
    fn window(&self, top: usize, left: usize, h: usize, w: usize) -> Image;

    /// Replaces the window of the size of `part` whose upper left corner is at row `top`, column `left`.
    ///
    /// # Panics
    /// Panics if the window does not lie within the picture, or if `part` has another number of channels.
    fn put(&mut self, top: usize, left: usize, part: &Image);
}

/// Which channels a picture is read with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorMode {
    /// One channel; colour files are reduced to their luma (see [`Image::to_gray`]).
    #[default]
    Gray,
    /// Three channels; grey files are repeated three times.
    Rgb,
    /// One channel for grey files, three for colour files.
    AsIs,
}

/// ITU-R BT.601 luma, 0.299 R + 0.587 G + 0.114 B, in a form that is exact for R = G = B.
pub(crate) fn luma(r: f32, g: f32, b: f32) -> f32 {
    g + 0.299 * (r - g) + 0.114 * (b - g)
}

/// Mirrors `i` into `0..n` without repeating the edge: n = 3 gives 0 1 2 1 0 1 2 1 …
fn reflect(i: usize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let m = i % period;
    m.min(period - m)
}

impl Raster for Image {
    fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    fn window(&self, top: usize, left: usize, h: usize, w: usize) -> Image {
        assert!(top + h <= self.height && left + w <= self.width, "a window of the picture");
        self.crop(top, left, h, w)
    }

    fn put(&mut self, top: usize, left: usize, part: &Image) {
        assert_eq!(part.channels, self.channels, "channels");
        assert!(top + part.height <= self.height && left + part.width <= self.width, "within");
        for c in 0..self.channels {
            for y in 0..part.height {
                let from = (c * part.height + y) * part.width;
                let to = (c * self.height + top + y) * self.width + left;
                self.data[to..to + part.width].copy_from_slice(&part.data[from..from + part.width]);
            }
        }
    }
}

impl Image {
    /// A picture from its values (see [`Image`] for their order).
    ///
    /// # Errors
    /// Returns an error if a side or the number of channels is 0, or if `data` is not `channels * height * width` long.
    pub fn new(channels: usize, height: usize, width: usize, data: Vec<f32>) -> Result<Self> {
        let expected = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
        if expected != Some(data.len()) || data.is_empty() {
            return Err(DataError::Shape {
                what: "picture".into(),
                found: format!("{} values", data.len()),
                expected: format!(
                    "{channels} × {height} × {width} values (channels, height, width; none of them 0)"
                ),
            });
        }
        Ok(Self { channels, height, width, data })
    }

    /// A picture whose value at channel `c`, row `y`, column `x` is `f(c, y, x)`.
    ///
    /// # Panics
    /// Panics if a side or the number of channels is 0.
    pub fn from_fn(
        channels: usize,
        height: usize,
        width: usize,
        mut f: impl FnMut(usize, usize, usize) -> f32,
    ) -> Self {
        assert!(channels > 0 && height > 0 && width > 0, "a picture needs at least one pixel");
        let mut data = Vec::with_capacity(channels * height * width);
        for c in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    data.push(f(c, y, x));
                }
            }
        }
        Self { channels, height, width, data }
    }

    pub(crate) fn at(&self, c: usize, y: usize, x: usize) -> f32 {
        self.data[(c * self.height + y) * self.width + x]
    }

    /// Channels, height and width, in the order tensors have them.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// The luma of a colour picture after ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, on the stored
    /// (gamma-encoded) values, as in denoising papers. For a picture without three channels it is the
    /// first channel.
    pub fn to_gray(&self) -> Image {
        let n = self.height * self.width;
        let data = if self.channels == 3 {
            let (r, rest) = self.data.split_at(n);
            let (g, b) = rest.split_at(n);
            r.iter().zip(g).zip(b).map(|((&r, &g), &b)| luma(r, g, b)).collect()
        } else {
            self.data[..n].to_vec()
        };
        Image { channels: 1, data, ..*self }
    }

    /// The window of `h × w` pixels whose upper left corner is at row `top`, column `left`.
    ///
    /// A window outside the picture is first reduced to the size of the picture (and
    /// extended to at least one pixel), then moved inside.
    pub fn crop(&self, top: usize, left: usize, h: usize, w: usize) -> Image {
        let (h, w) = (h.clamp(1, self.height), w.clamp(1, self.width));
        let (top, left) = (top.min(self.height - h), left.min(self.width - w));
        let mut data = Vec::with_capacity(self.channels * h * w);
        for c in 0..self.channels {
            for y in top..top + h {
                let start = (c * self.height + y) * self.width + left;
                data.extend_from_slice(&self.data[start..start + w]);
            }
        }
        Image { channels: self.channels, height: h, width: w, data }
    }

    /// The central window of at most `h × w` pixels.
    pub fn crop_center(&self, h: usize, w: usize) -> Image {
        let top = self.height.saturating_sub(h) / 2;
        self.crop(top, self.width.saturating_sub(w) / 2, h, w)
    }

    /// The picture with left and right exchanged.
    pub fn flip_horizontal(&self) -> Image {
        let mut flipped = self.clone();
        flipped.data.chunks_exact_mut(self.width).for_each(<[f32]>::reverse);
        flipped
    }

    /// The picture with top and bottom exchanged.
    pub fn flip_vertical(&self) -> Image {
        let mut data = Vec::with_capacity(self.data.len());
        for plane in self.data.chunks_exact(self.height * self.width) {
            data.extend(plane.chunks_exact(self.width).rev().flatten());
        }
        Image { data, ..*self }
    }

    /// Extends the picture to the right and below to at least `h × w` by reflection.
    ///
    /// The edge pixel is not repeated: `a b c` becomes `a b c b a b …`. A side of one pixel is extended by
    /// repeating it. A side that is long enough stays as it is.
    pub fn pad_reflect_to(&self, h: usize, w: usize) -> Image {
        let (h, w) = (h.max(self.height), w.max(self.width));
        Image::from_fn(self.channels, h, w, |c, y, x| {
            self.at(c, reflect(y, self.height), reflect(x, self.width))
        })
    }

    /// The largest value.
    pub fn max(&self) -> f32 {
        self.data.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// Peak signal to noise ratio against `clean` in dB, 10 log₁₀(peak² / MSE), the mean taken over
    /// all pixels and channels. Values are not clipped.
    ///
    /// Infinite for equal pictures, NaN for pictures of different shapes.
    pub fn psnr(&self, clean: &Image, peak: f32) -> f64 {
        if self.shape() != clean.shape() {
            return f64::NAN;
        }
        let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
        let sum: f64 = self.data.iter().zip(&clean.data).map(square).sum();
        let mse = sum / self.data.len() as f64;
        10.0 * (f64::from(peak).powi(2) / mse).log10()
    }

    /// Every value limited to \[0, 1\].
    pub fn clip(&self) -> Image {
        Image { data: self.data.iter().map(|v| v.clamp(0.0, 1.0)).collect(), ..*self }
    }

    /// A panel of pictures from left to right, with `gap` white columns between neighbours.
    /// If any picture is in colour, the panel is in colour.
    ///
    /// # Errors
    /// Returns an error if there is no picture, if heights differ, or if a picture has neither one nor three channels.
    pub fn beside(images: &[&Image], gap: usize) -> Result<Image> {
        let Some(first) = images.first() else {
            return Err(DataError::range("number of pictures in a panel", 0, "at least 1"));
        };
        for image in images {
            if image.height != first.height || !matches!(image.channels, 1 | 3) {
                return Err(DataError::Shape {
                    what: "picture in a panel".into(),
                    found: format!("{} channels, height {}", image.channels, image.height),
                    expected: format!("1 or 3 channels, height {}", first.height),
                });
            }
        }
        let channels = images.iter().map(|image| image.channels).max().unwrap_or(1);
        let width = images.iter().map(|i| i.width).sum::<usize>() + gap * (images.len() - 1);
        let mut panel = Image::from_fn(channels, first.height, width, |_, _, _| 1.0);
        let mut left = 0;
        for image in images {
            let shown = match (image.channels, channels) {
                (1, 3) => Image { channels: 3, data: image.data.repeat(3), ..**image },
                _ => (*image).clone(),
            };
            panel.put(0, left, &shown);
            left += image.width + gap;
        }
        Ok(panel)
    }
}
