//! Drawn pictures of flat colours, as posters, screens and pages of text have them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::image::Image;
use crate::strokes;

/// Shapes of a poster and boxes of a screen, at least and at most.
const SHAPES: [usize; 2] = [6, 30];
/// Height of a line of text in pixels, with the space below it.
const LINE: [usize; 2] = [9, 26];

/// A drawing of `side × side` pixels in colour, values in \[0, 1\]: a poster of flat discs and bars in saturated colours, a
/// screen of boxes with borders, or a page of small signs on an even ground. All draws are from `rng`.
pub(crate) fn draw(side: usize, rng: &mut ChaCha8Rng) -> Image {
    let ground = color(rng);
    let mut picture = Image::from_fn(3, side, side, |c, _, _| ground[c]);
    match rng.random_range(0..3) {
        0 => poster(&mut picture, rng),
        1 => screen(&mut picture, rng),
        _ => page(&mut picture, rng),
    }
    picture
}

/// A colour: grey for a quarter, otherwise of any hue, mostly saturated.
fn color(rng: &mut ChaCha8Rng) -> [f32; 3] {
    let value = 1.0 - 0.75 * rng.random::<f32>().powi(2);
    let saturation = if rng.random::<f32>() < 0.25 { 0.0 } else { rng.random::<f32>().sqrt() };
    let hue = 6.0 * rng.random::<f32>();
    // Red, green and blue of a hue, from 0 to 1 (the hexcone of HSV).
    let pure = |offset: f32| (((hue + offset).rem_euclid(6.0) - 3.0).abs() - 1.0).clamp(0.0, 1.0);
    [0.0, 4.0, 2.0].map(|offset| value * (1.0 - saturation * (1.0 - pure(offset))))
}

/// Covers every pixel with a colour, by a share from 0 to 1.
fn paint(picture: &mut Image, color: [f32; 3], share: impl Fn(usize, usize) -> f32) {
    let area = picture.height * picture.width;
    for i in 0..area {
        let share = share(i / picture.width, i % picture.width).clamp(0.0, 1.0);
        if share > 0.0 {
            for (c, ink) in color.into_iter().enumerate() {
                let value = &mut picture.data[c * area + i];
                *value += share * (ink - *value);
            }
        }
    }
}

/// Discs and turned bars over each other, their edges smooth over a pixel.
fn poster(picture: &mut Image, rng: &mut ChaCha8Rng) {
    let side = picture.width as f32;
    for _ in 0..rng.random_range(SHAPES[0]..=SHAPES[1]) {
        let (x, y) = (side * rng.random::<f32>(), side * rng.random::<f32>());
        let radius = side * (0.05 + 0.5 * rng.random::<f32>().powi(2));
        let flat = if rng.random() { 0.0 } else { 0.1 + 0.8 * rng.random::<f32>() };
        let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
        let color = color(rng);
        paint(picture, color, |row, column| {
            let (dx, dy) = (column as f32 - x, row as f32 - y);
            let inside = if flat == 0.0 {
                radius - dx.hypot(dy)
            } else {
                let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
                (radius - u.abs()).min(flat * radius - v.abs())
            };
            inside + 0.5
        });
    }
}

/// Upright boxes on whole pixels, some with a border of a pixel.
fn screen(picture: &mut Image, rng: &mut ChaCha8Rng) {
    let side = picture.width;
    for _ in 0..rng.random_range(SHAPES[0]..=SHAPES[1]) {
        let mut span = || {
            let from = rng.random_range(0..side);
            from..(from + rng.random_range(2..=side.max(4) / 2)).min(side)
        };
        let (rows, columns) = (span(), span());
        if rng.random() {
            let border = color(rng);
            paint(picture, border, |y, x| f32::from(rows.contains(&y) && columns.contains(&x)));
            let within =
                |range: &std::ops::Range<usize>, at: usize| range.start < at && at + 1 < range.end;
            let fill = color(rng);
            paint(picture, fill, |y, x| f32::from(within(&rows, y) && within(&columns, x)));
        } else {
            let fill = color(rng);
            paint(picture, fill, |y, x| f32::from(rows.contains(&y) && columns.contains(&x)));
        }
    }
}

/// Lines of small signs in one ink.
pub(crate) fn page(picture: &mut Image, rng: &mut ChaCha8Rng) {
    let ink = if rng.random::<f32>() < 0.7 { [0.1 * rng.random::<f32>(); 3] } else { color(rng) };
    let height = rng.random_range(LINE[0]..=LINE[1]);
    let wide = (height * 2).div_ceil(3);
    let first = rng.random_range(0..height);
    for top in (0..picture.height + height).step_by(height) {
        for left in (0..picture.width).step_by(wide) {
            if rng.random::<f32>() < 0.15 {
                continue;
            }
            let sign = strokes::draw(rng.random_range(0..10), rng);
            let at = |y: usize, x: usize| {
                let (y, x) = ((y + first).checked_sub(top)?, x.checked_sub(left)?);
                (y < height && x < height).then(|| shrunk(&sign, height, y, x))
            };
            paint_window(picture, ink, [top.saturating_sub(first), left, height], at);
        }
    }
}

/// Paints within a square window only, so that a sign costs its own pixels.
fn paint_window(
    picture: &mut Image,
    ink: [f32; 3],
    [top, left, side]: [usize; 3],
    share: impl Fn(usize, usize) -> Option<f32>,
) {
    let (height, width) = (picture.height, picture.width);
    for y in top..(top + side).min(height) {
        for x in left..(left + side).min(width) {
            let share = share(y, x).unwrap_or(0.0);
            for (c, ink) in ink.into_iter().enumerate() {
                let value = &mut picture.data[(c * height + y) * width + x];
                *value += share * (ink - *value);
            }
        }
    }
}

/// The ink, from 0 to 1, of a pixel of a sign that is shrunk to `side` pixels: the mean over what the pixel covers.
fn shrunk(sign: &[u8], side: usize, y: usize, x: usize) -> f32 {
    let span = |k: usize| {
        let from = k * strokes::SIDE / side;
        from..((k + 1) * strokes::SIDE / side).max(from + 1).min(strokes::SIDE)
    };
    let (rows, columns) = (span(y), span(x));
    let count = rows.len() * columns.len();
    let ink = rows.flat_map(|row| columns.clone().map(move |column| row * strokes::SIDE + column));
    ink.map(|i| f32::from(sign[i])).sum::<f32>() / (255 * count.max(1)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Stream, step_rng};

    #[test]
    fn drawings_are_flat_and_of_many_colours() {
        let mut saturated = 0;
        for k in 0..60 {
            let picture = draw(64, &mut step_rng(1, Stream::Variety, k));
            assert!(picture.data.iter().all(|v| (0.0..=1.0).contains(v)), "{k}");
            let area = 64 * 64;
            let pixel = |i: usize| [0, 1, 2].map(|c| picture.data[c * area + i]);
            let same = (1..area).filter(|&i| pixel(i) == pixel(i - 1)).count();
            assert!(same > area / 3, "drawing {k} has {same} pixels like their neighbour");
            let distinct = (1..area).any(|i| pixel(i) != pixel(0));
            assert!(distinct, "drawing {k} is empty");
            let span =
                |p: [f32; 3]| p.into_iter().fold(0.0, f32::max) - p.into_iter().fold(1.0, f32::min);
            saturated += usize::from((0..area).any(|i| span(pixel(i)) > 0.5));
        }
        assert!(saturated > 25, "{saturated}");
    }

    #[test]
    fn small_drawings_are_drawn() {
        for k in 0..30 {
            let picture = draw(3, &mut step_rng(2, Stream::Variety, k));
            assert_eq!(picture.shape(), [3, 3, 3]);
        }
    }
}
