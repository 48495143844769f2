//! A drawn landscape, for use without a file.

mod canvas;
mod fence;
mod house;
mod land;
mod noise;
mod plants;
mod tree;

use crate::image::Image;
use canvas::{Canvas, View};

/// Rows that are drawn at a time. Memory depends on this and not on the size of the picture.
const BAND: usize = 32;

/// An evening landscape in colour: clouds around a low sun, mountains mirrored in a lake, a brick
/// house behind a fence, a tree, a path through a meadow.
///
/// It is a picture for denoising: it has straight and curved edges, regular textures
/// (bricks, tiles, pickets), irregular textures (grass, bark, leaves, clouds) and smooth shading. The
/// result has three channels with values in \[0, 1\]. Each pixel is the mean of 3 × 3 samples.
///
/// The composition is made for a picture of the ratio 3 : 2 and is complete in every picture. Wider pictures show
/// more land to the sides, taller ones more sky and meadow. `seed`
/// changes mountains, clouds and plants. Sides are limited to the range from 16 to 8192 pixels.
///
/// ```
/// let picture = pudle_data::scene(60, 40, 7);
/// assert_eq!(picture.shape(), [3, 40, 60]);
/// ```
pub fn scene(width: usize, height: usize, seed: u64) -> Image {
    let (width, height) = (width.clamp(16, 8192), height.clamp(16, 8192));
    let view = View::new(width, height);
    let land = land::Land::new(seed);
    let plants = plants::Plants::new(seed, &view);
    let starts: Vec<usize> = (0..height).step_by(BAND).collect();
    let mut bands: Vec<Vec<[f32; 3]>> = vec![Vec::new(); starts.len()];

    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let share = starts.len().div_ceil(threads);
    std::thread::scope(|scope| {
        for (starts, bands) in starts.chunks(share).zip(bands.chunks_mut(share)) {
            let (view, land, plants) = (&view, &land, &plants);
            scope.spawn(move || {
                for (&top, band) in starts.iter().zip(bands) {
                    let mut canvas = Canvas::new(view, top, BAND.min(height - top));
                    land.draw(&mut canvas);
                    plants.draw_far(&mut canvas, land);
                    house::draw(&mut canvas, seed);
                    plants.draw_near(&mut canvas);
                    *band = canvas.pixels();
                }
            });
        }
    });

    let pixels = bands.concat();
    Image::from_fn(3, height, width, |c, y, x| pixels[y * width + x][c])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_size_and_seed_gives_a_picture_in_range() {
        for (width, height) in [(0, 0), (16, 16), (97, 33), (16, 120)] {
            let image = scene(width, height, 3);
            assert_eq!(image.shape(), [3, height.max(16), width.max(16)]);
            assert!(image.data.iter().all(|v| (0.0..=1.0).contains(v)), "{width} × {height}");
        }
    }

    #[test]
    fn the_seed_decides_and_bands_do_not_show() {
        let image = scene(90, 60, 1);
        assert_eq!(image, scene(90, 60, 1));
        assert_ne!(image, scene(90, 60, 2));
        // The sky is smooth, also across the border of two bands; the meadow is not.
        let gray = scene(240, 160, 1).to_gray();
        let step = |y: usize| -> f32 {
            (0..240).map(|x| (gray.at(0, y, x) - gray.at(0, y + 1, x)).abs()).sum::<f32>() / 240.0
        };
        assert!(step(BAND - 1) < 2.0 * (step(BAND - 2) + step(BAND)), "{}", step(BAND - 1));
        assert!(step(150) > 4.0 * step(5), "{} {}", step(150), step(5));
    }

    #[test]
    fn the_sun_is_the_brightest_place_and_the_sky_blue_above_it() {
        let image = scene(240, 160, 1);
        let sum = |x: usize, y: usize| (0..3).map(|c| image.at(c, y, x)).sum::<f32>();
        let [sx, sy] = land::SUN.map(|v| (v * 160.0) as usize);
        assert!(sum(sx, sy) > 2.7, "{}", sum(sx, sy));
        assert!(image.at(2, 1, 5) > image.at(0, 1, 5));
    }
}
