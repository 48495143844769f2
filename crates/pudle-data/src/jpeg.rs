//! What JPEG does to a picture: the cosine transform of 8×8 blocks and its quantisation.
//!
//! The tables are those of ITU-T T.81, annex K, and scale with the quality as in libjpeg.

use std::sync::OnceLock;

use crate::image::Image;

/// Side of a block.
pub(crate) const SIDE: usize = 8;
/// Pixels of a block.
pub(crate) const AREA: usize = SIDE * SIDE;

/// Quantisation steps of luminance at quality 50, row by row.
const LUMINANCE: [u16; AREA] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// Quantisation steps of the colour differences at quality 50, row by row.
const CHROMINANCE: [u16; AREA] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// The steps of a table at a quality from 1 to 100, on the scale 0 … 255 of pixels.
fn steps(table: &[u16; AREA], quality: u8) -> [f32; AREA] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|step| ((u32::from(step) * percent + 50) / 100).clamp(1, 255) as f32)
}

/// The steps of luminance at a quality from 1 to 100, on the scale 0 … 255 of pixels.
pub(crate) fn luminance_steps(quality: u8) -> [f32; AREA] {
    steps(&LUMINANCE, quality)
}

/// The orthonormal cosine transform of eight values: row `u` is the wave of frequency `u`.
fn waves() -> &'static [[f32; SIDE]; SIDE] {
    static WAVES: OnceLock<[[f32; SIDE]; SIDE]> = OnceLock::new();
    WAVES.get_or_init(|| {
        std::array::from_fn(|u| {
            std::array::from_fn(|x| {
                let angle = std::f64::consts::PI * (2 * x + 1) as f64 * u as f64 / 16.0;
                let norm = if u == 0 { 0.125f64.sqrt() } else { 0.5 };
                (norm * angle.cos()) as f32
            })
        })
    })
}

/// `A X Aᵀ` for a block `X`, where `at(i, k)` is `A`.
fn sandwich(block: &[f32; AREA], at: impl Fn(usize, usize) -> f32) -> [f32; AREA] {
    let mut half = [0.0; AREA];
    for i in 0..SIDE {
        for k in 0..SIDE {
            let factor = at(i, k);
            for x in 0..SIDE {
                half[i * SIDE + x] += factor * block[k * SIDE + x];
            }
        }
    }
    let mut whole = [0.0; AREA];
    for y in 0..SIDE {
        for i in 0..SIDE {
            whole[y * SIDE + i] = (0..SIDE).map(|k| at(i, k) * half[y * SIDE + k]).sum();
        }
    }
    whole
}

/// The orthonormal cosine transform of a block. Entry `8 v + u` has `v` half waves down and `u` across.
pub(crate) fn transform(block: &[f32; AREA]) -> [f32; AREA] {
    let waves = waves();
    sandwich(block, |i, k| waves[i][k])
}

/// The block of a transform.
fn inverse(coefficients: &[f32; AREA]) -> [f32; AREA] {
    let waves = waves();
    sandwich(coefficients, |i, k| waves[k][i])
}

/// A plane of values on the scale 0 … 255.
struct Plane {
    height: usize,
    width: usize,
    data: Vec<f32>,
}

impl Plane {
    /// The value at a place. Outside the plane, it is that of the nearest place inside.
    fn near(&self, y: isize, x: isize) -> f32 {
        let y = y.clamp(0, self.height as isize - 1) as usize;
        let x = x.clamp(0, self.width as isize - 1) as usize;
        self.data[y * self.width + x]
    }

    /// Rounds the transform of every block to multiples of `steps`. `above` rows and `left` columns of the first
    /// blocks are outside the plane.
    fn quantise(&mut self, steps: &[f32; AREA], above: usize, left: usize) {
        let (before_y, before_x) = (above as isize, left as isize);
        let rows = (self.height + above).div_ceil(SIDE);
        let columns = (self.width + left).div_ceil(SIDE);
        let from = |row: usize, before: isize| (row * SIDE) as isize - before;
        let original = Plane { data: self.data.clone(), ..*self };
        for (row, column) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            let (top, start) = (from(row, before_y), from(column, before_x));
            let block = std::array::from_fn(|i| {
                original.near(top + (i / SIDE) as isize, start + (i % SIDE) as isize) - 128.0
            });
            let mut waves = transform(&block);
            for (value, step) in waves.iter_mut().zip(steps) {
                *value = (*value / step).round() * step;
            }
            for (i, value) in inverse(&waves).into_iter().enumerate() {
                let (y, x) = (top + (i / SIDE) as isize, start + (i % SIDE) as isize);
                if (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x) {
                    self.data[y as usize * self.width + x as usize] = value + 128.0;
                }
            }
        }
    }

    /// The means of 2×2 pixels.
    fn half(&self) -> Plane {
        let (height, width) = (self.height.div_ceil(2), self.width.div_ceil(2));
        let mean = |i: usize| {
            let (y, x) = (2 * (i / width) as isize, 2 * (i % width) as isize);
            let sum = self.near(y, x) + self.near(y, x + 1) + self.near(y + 1, x);
            0.25 * (sum + self.near(y + 1, x + 1))
        };
        Plane { height, width, data: (0..height * width).map(mean).collect() }
    }

    /// A plane of twice the size, cut to `height` and `width`. Between places it is linear.
    fn double(&self, height: usize, width: usize) -> Plane {
        let value = |i: usize| {
            let [(y, up), (x, aside)] = [i / width, i % width].map(|place| {
                let center = (place / 2) as isize;
                (center, if place % 2 == 0 { center - 1 } else { center + 1 })
            });
            let near = 3.0 * self.near(y, x) + self.near(y, aside);
            (3.0 * near + 3.0 * self.near(up, x) + self.near(up, aside)) / 16.0
        };
        Plane { height, width, data: (0..height * width).map(value).collect() }
    }
}

/// The picture after it was stored as JPEG of a quality from 1 to 100: clipped to 8 bits, its blocks rounded, and in 8
/// bits again. The colour differences of a colour picture have half the resolution, as those of most cameras. The first
/// blocks begin `above` rows and `left` columns before the picture, both below 8, as in a crop of a larger picture.
pub(crate) fn compress(picture: &Image, quality: u8, [above, left]: [usize; 2]) -> Image {
    let [channels, height, width] = picture.shape();
    let eight = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round();
    let mut planes: Vec<Vec<f32>> = picture
        .data
        .chunks_exact(height * width)
        .map(|plane| plane.iter().map(|&v| eight(v)).collect())
        .collect();
    if channels == 3 {
        each_pixel(&mut planes, |[r, g, b]| {
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            [y, 128.0 + 0.564 * (b - y), 128.0 + 0.713 * (r - y)]
        });
    }
    for (c, data) in planes.iter_mut().enumerate() {
        let mut plane = Plane { height, width, data: std::mem::take(data) };
        if channels == 3 && c > 0 {
            let mut half = plane.half();
            half.quantise(&steps(&CHROMINANCE, quality), above / 2, left / 2);
            plane = half.double(height, width);
        } else {
            plane.quantise(&steps(&LUMINANCE, quality), above, left);
        }
        *data = plane.data;
    }
    if channels == 3 {
        each_pixel(&mut planes, |[y, blue, red]| {
            let (b, r) = (y + (blue - 128.0) / 0.564, y + (red - 128.0) / 0.713);
            [r, (y - 0.299 * r - 0.114 * b) / 0.587, b]
        });
    }
    let data = planes.concat().into_iter().map(|v| v.round().clamp(0.0, 255.0) / 255.0).collect();
    Image { data, ..*picture }
}

/// Replaces the three values of every pixel.
fn each_pixel(planes: &mut [Vec<f32>], change: impl Fn([f32; 3]) -> [f32; 3]) {
    for i in 0..planes[0].len() {
        let new = change([planes[0][i], planes[1][i], planes[2][i]]);
        for (plane, value) in planes.iter_mut().zip(new) {
            plane[i] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::scene;

    #[test]
    fn the_transform_keeps_energy_and_has_an_inverse() {
        let block = std::array::from_fn(|i| ((i * 37) % 101) as f32 - 50.0);
        let waves = transform(&block);
        let energy = |values: &[f32; AREA]| values.iter().map(|v| v * v).sum::<f32>();
        assert!((energy(&waves) / energy(&block) - 1.0).abs() < 1e-5);
        for (a, b) in inverse(&waves).iter().zip(block) {
            assert!((a - b).abs() < 1e-3);
        }
        let flat = transform(&[3.0; AREA]);
        assert!((flat[0] - 24.0).abs() < 1e-4);
        assert!(flat[1..].iter().all(|v| v.abs() < 1e-4));
    }

    #[test]
    fn the_steps_are_those_of_libjpeg() {
        assert_eq!(luminance_steps(50)[..4], [16.0, 11.0, 10.0, 16.0]);
        assert_eq!(luminance_steps(75)[..4], [8.0, 6.0, 5.0, 8.0]);
        assert_eq!(luminance_steps(100), [1.0; AREA]);
        assert_eq!(luminance_steps(1)[0], 255.0);
    }

    #[test]
    fn lower_quality_loses_more_and_a_second_time_loses_little() {
        let clean = scene(97, 70, 7);
        for picture in [clean.to_gray(), clean] {
            let mut last = f64::INFINITY;
            for quality in [98, 90, 75, 40] {
                let once = compress(&picture, quality, [3, 6]);
                assert_eq!(once.shape(), picture.shape());
                let psnr = once.psnr(&picture, 1.0);
                assert!(psnr < last && psnr > 20.0, "{quality}: {psnr}");
                if picture.channels == 1 && quality <= 90 {
                    let again = compress(&once, quality, [3, 6]).psnr(&once, 1.0);
                    assert!(again > psnr, "{quality}: {again} after {psnr}");
                }
                last = psnr;
            }
        }
        let flat = Image::from_fn(3, 20, 20, |_, _, _| 100.0 / 255.0);
        assert!(compress(&flat, 90, [0, 0]).psnr(&flat, 1.0) > 45.0);
    }
}
