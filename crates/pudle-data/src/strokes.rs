//! Drawn digits, for use without files of handwritten digits.

use std::f32::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::digits::Digits;
use crate::rng::{Stream, step_rng};

/// Side of a picture, that of MNIST.
pub(crate) const SIDE: usize = 28;

/// Points per arc. At 28 pixels, chords of this length look like the curve.
const ARC: usize = 14;

type Point = [f32; 2];

/// One stroke: straight lines between points of the unit square, y downwards.
type Stroke = Vec<Point>;

/// `count` pictures of 28 × 28 pixels: white digits, drawn with a round pen on black. They replace MNIST without a
/// download.
///
/// Each is a skeleton of lines and arcs under a random affine map (rotation, slant, size,
/// place), with slightly displaced points and a random pen width. Picture `i` is a function of `classes`,
/// `seed` and `i`, and shows the digit `classes[i % classes.len()]`. Entries of `classes` above 9
/// are ignored. If no other entries are left, all ten digits are drawn.
///
/// ```
/// let digits = pudle_data::stroke_digits(6, &[3, 7], 0);
/// assert_eq!(digits.labels(), [3, 7, 3, 7, 3, 7]);
/// ```
pub fn stroke_digits(count: usize, classes: &[u8], seed: u64) -> Digits {
    let mut classes: Vec<u8> = classes.iter().copied().filter(|c| *c <= 9).collect();
    if classes.is_empty() {
        classes = (0..=9).collect();
    }
    let labels: Vec<u8> = classes.into_iter().cycle().take(count).collect();
    let draw =
        |(i, &digit): (usize, &u8)| draw(digit, &mut step_rng(seed, Stream::Stroke, i as u64));
    let pixels = labels.iter().enumerate().flat_map(draw).collect();
    Digits::from_bytes(SIDE, SIDE, pixels, labels)
}

/// Part of an ellipse, angles in turns, clockwise on the page from the right.
fn arc(centre: Point, radii: Point, from: f32, to: f32) -> Stroke {
    let at = |k: usize| {
        let angle = 2.0 * PI * (from + (to - from) * k as f32 / ARC as f32);
        [centre[0] + radii[0] * angle.cos(), centre[1] + radii[1] * angle.sin()]
    };
    (0..=ARC).map(at).collect()
}

fn skeleton(digit: u8, rng: &mut ChaCha8Rng) -> Vec<Stroke> {
    match digit {
        0 => vec![arc([0.5, 0.5], [0.30, 0.48], 0.0, 1.0)],
        // With or without a flag.
        1 if rng.random() => vec![vec![[0.34, 0.22], [0.54, 0.02], [0.54, 0.98]]],
        1 => vec![vec![[0.5, 0.02], [0.5, 0.98]]],
        2 => {
            let mut stroke = arc([0.48, 0.29], [0.29, 0.27], 0.52, 1.08);
            stroke.extend([[0.60, 0.58], [0.18, 0.97], [0.82, 0.97]]);
            vec![stroke]
        }
        3 => {
            let mut stroke = arc([0.45, 0.26], [0.27, 0.24], 0.60, 1.25);
            stroke.extend(arc([0.45, 0.735], [0.33, 0.245], -0.25, 0.42));
            vec![stroke]
        }
        4 => vec![vec![[0.55, 0.03], [0.16, 0.63], [0.86, 0.63]], vec![[0.66, 0.36], [0.66, 0.98]]],
        5 => {
            let mut stroke = vec![[0.78, 0.03], [0.30, 0.03], [0.26, 0.45]];
            stroke.extend(arc([0.46, 0.68], [0.34, 0.29], 0.62, 1.42));
            vec![stroke]
        }
        6 => {
            let mut stroke = vec![[0.66, 0.02], [0.42, 0.24]];
            stroke.extend(arc([0.50, 0.69], [0.29, 0.28], 0.54, 1.54));
            vec![stroke]
        }
        7 => vec![vec![[0.17, 0.05], [0.82, 0.05], [0.40, 0.98]]],
        8 => vec![
            arc([0.5, 0.26], [0.24, 0.235], 0.25, 1.25),
            arc([0.5, 0.735], [0.30, 0.245], -0.25, 0.75),
        ],
        _ => {
            let mut stroke = arc([0.48, 0.31], [0.28, 0.28], 0.0, 1.0);
            stroke.extend([[0.74, 0.60], [0.62, 0.98]]);
            vec![stroke]
        }
    }
}

/// The ink, 0 to 255, of the [`SIDE`]`²` pixels of a digit from 0 to 9.
pub(crate) fn draw(digit: u8, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut strokes = skeleton(digit, rng);
    let mut normal = |sd: f32| -> f32 {
        let draw: f32 = StandardNormal.sample(rng);
        // Values beyond two deviations give unrealistic digits.
        sd * draw.clamp(-2.0, 2.0)
    };
    let (turn, slant) = (normal(0.11), normal(0.14));
    let (sin, cos) = turn.sin_cos();
    let size = [19.0 * (1.0 + normal(0.08)), 19.0 * (1.0 + normal(0.06))];
    let centre = [13.5 + normal(0.9), 13.5 + normal(0.9)];
    let pen = 1.25 * (1.0 + normal(0.22));
    // A slow wave over the unit square moves neighbouring points in the same way, so that arcs stay smooth.
    let wave = [normal(0.03), normal(0.03), normal(1.5), normal(1.5)];
    for [x, y] in strokes.iter_mut().flatten() {
        let (u, v) = (
            *x - 0.5 + wave[0] * (6.0 * *y + wave[2]).sin(),
            *y - 0.5 + wave[1] * (6.0 * *x + wave[3]).sin(),
        );
        let (u, v) = ((u - slant * v) * size[0], v * size[1]);
        (*x, *y) = (centre[0] + cos * u - sin * v, centre[1] + sin * u + cos * v);
    }
    let pixel = |i: usize| {
        let p = [(i % SIDE) as f32, (i / SIDE) as f32];
        let segments = strokes.iter().flat_map(|s| s.windows(2));
        let near = segments.map(|s| distance(p, s[0], s[1])).fold(f32::INFINITY, f32::min);
        // The edge fades over a pixel and a half, as in scans.
        (255.0 * ((pen + 0.75 - near) / 1.5).clamp(0.0, 1.0)).round() as u8
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

/// From a point to a line segment.
fn distance(p: Point, a: Point, b: Point) -> f32 {
    let (d, e) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length2 = d[0] * d[0] + d[1] * d[1];
    // A segment of no length is its first point.
    let t =
        if length2 > 0.0 { ((e[0] * d[0] + e[1] * d[1]) / length2).clamp(0.0, 1.0) } else { 0.0 };
    (e[0] - t * d[0]).hypot(e[1] - t * d[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_depend_on_seed_and_number_alone() {
        let digits = stroke_digits(30, &[], 4);
        assert_eq!(digits, stroke_digits(30, &[], 4));
        assert_eq!(digits.pixels(7), stroke_digits(8, &[], 4).pixels(7));
        assert_ne!(digits.pixels(7), stroke_digits(8, &[], 5).pixels(7));
        assert_ne!(digits.pixels(7), digits.pixels(17), "two sevens differ");
        assert_eq!(digits.labels()[..11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
        assert_eq!(stroke_digits(2, &[12, 5], 4).labels(), [5, 5]);
        assert_eq!(stroke_digits(1, &[12], 4).labels(), [0]);
        assert!(stroke_digits(0, &[1], 4).is_empty());
    }

    #[test]
    fn ink_stays_within_the_picture() {
        let digits = stroke_digits(300, &[], 1);
        for i in 0..300 {
            let image = digits.image(i).unwrap();
            let ink: f32 = image.data.iter().sum::<f32>() / 784.0;
            assert!((0.03..0.35).contains(&ink), "{i}: {ink}");
            let border = (0..SIDE).flat_map(|k| [(0, k), (27, k), (k, 0), (k, 27)]);
            let lost: f32 = border.map(|(y, x)| image.at(0, y, x)).sum();
            assert!(lost < 4.0, "{i}: {lost}");
        }
    }

    #[test]
    fn a_nearest_mean_tells_classes_apart() {
        let (train, test) = (stroke_digits(400, &[], 1), stroke_digits(200, &[], 2));
        let mut means = vec![vec![0.0f32; 784]; 10];
        for i in 0..400 {
            let mean = &mut means[usize::from(train.labels()[i])];
            mean.iter_mut().zip(train.pixels(i).unwrap()).for_each(|(m, v)| *m += v / 40.0);
        }
        let right = (0..200).filter(|&i| {
            let x = test.pixels(i).unwrap();
            let far = |m: &[f32]| m.iter().zip(&x).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
            let best = (0..10).min_by(|&a, &b| far(&means[a]).total_cmp(&far(&means[b])));
            best == Some(usize::from(test.labels()[i]))
        });
        let right = right.count();
        // MNIST has about 82 % under this rule; chance is 10 %.
        assert!(right > 150, "{right} of 200");
    }
}
