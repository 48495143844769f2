//! Plain loops to hold the kernels to.
#![allow(dead_code, reason = "each test file uses a part")]

use pudle_kernels::{Encoder, Geometry, Real, Shrinkage, Unrolling};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub struct Draw(ChaCha8Rng);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn numbers<T: Real>(&mut self, n: usize, low: f64, high: f64) -> Vec<T> {
        (0..n).map(|_| T::from_f64(self.0.random_range(low..high))).collect()
    }

    pub fn count(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.0.random_range(range)
    }

    pub fn pick<C: Copy>(&mut self, from: &[C]) -> C {
        from[self.0.random_range(0..from.len())]
    }
}

/// The seeds of random problems. Under Miri, which is some thousand times slower, they are the first few.
pub fn seeds(all: std::ops::Range<u64>) -> std::ops::Range<u64> {
    if cfg!(miri) { all.start..all.end.min(all.start + 3) } else { all }
}

pub fn shrink(shrinkage: Shrinkage, v: f64, theta: f64) -> f64 {
    match shrinkage {
        Shrinkage::Soft => v.signum() * (v.abs() - theta).max(0.0),
        Shrinkage::SignedSoft => (v - theta).max(0.0) - (-v - theta).max(0.0),
        Shrinkage::Relu => (v - theta).max(0.0),
        Shrinkage::Hard => {
            if v.abs() > theta {
                v
            } else {
                0.0
            }
        }
    }
}

pub fn level(encoder: &Encoder<'_, f64>, t: usize, i: usize, j: usize) -> f64 {
    let [layers, batch, atoms] = encoder.level_shape;
    let index = (t.min(layers - 1) * batch + i.min(batch - 1)) * atoms + j.min(atoms - 1);
    encoder.levels[index]
}

/// Layers of datum `i` from a code and the one before it, given the fit's `gradient` at a code and the
/// `atom` of each of its entries.
pub fn unrolled(
    (codes, i): (usize, usize),
    encoder: &Encoder<'_, f64>,
    unrolling: &Unrolling,
    range: std::ops::Range<usize>,
    (mut z, mut previous): (Vec<f64>, Vec<f64>),
    gradient: impl Fn(&[f64]) -> Vec<f64>,
    atom: impl Fn(usize) -> usize,
) -> (Vec<f64>, Vec<f64>) {
    let weights = unrolling.extrapolation.weights(unrolling.layers);
    for t in range {
        let m = weights[t];
        let y: Vec<f64> = z.iter().zip(&previous).map(|(z, p)| z + m * (z - p)).collect();
        let g = gradient(&y);
        let next = (0..codes)
            .map(|k| {
                let theta = level(encoder, t, i, atom(k));
                shrink(unrolling.shrinkage, y[k] - encoder.step * g[k], theta)
            })
            .collect();
        previous = std::mem::replace(&mut z, next);
    }
    (z, previous)
}

pub fn synthesize(g: &Geometry, atoms: &[f64], z: &[f64]) -> Vec<f64> {
    let mut image = vec![0.0; g.pixels()];
    each(g, |code, tap, pixel| image[pixel] += z[code] * atoms[tap]);
    image
}

pub fn analyze(g: &Geometry, atoms: &[f64], image: &[f64]) -> Vec<f64> {
    let [h, w] = g.positions();
    let mut code = vec![0.0; g.atoms * h * w];
    each(g, |k, tap, pixel| code[k] += image[pixel] * atoms[tap]);
    code
}

/// Every code entry, weight and pixel that belong together.
fn each(g: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let [h, w] = g.positions();
    for j in 0..g.atoms {
        for y in 0..h {
            for x in 0..w {
                for c in 0..g.channels {
                    for dy in 0..g.kernel[0] {
                        for dx in 0..g.kernel[1] {
                            visit(
                                (j * h + y) * w + x,
                                ((j * g.channels + c) * g.kernel[0] + dy) * g.kernel[1] + dx,
                                (c * g.height + y * g.stride[0] + dy) * g.width
                                    + x * g.stride[1]
                                    + dx,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Largest difference relative to the largest entry.
pub fn distance<T: Real>(a: &[T], b: &[T]) -> f64 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().map(|b| b.to_f64().abs()).fold(1e-12, f64::max);
    a.iter().zip(b).map(|(a, b)| (a.to_f64() - b.to_f64()).abs()).fold(0.0, f64::max) / largest
}

/// Holds entries of a gradient to central differences of `loss(entry, change)`, but where a code passes a
/// threshold within the difference.
pub fn assert_differences(
    draw: &mut Draw,
    given: &[f64],
    loss: impl Fn(usize, f64) -> f64,
    what: impl std::fmt::Display,
) {
    let largest = given.iter().fold(1e-3f64, |m, g| m.max(g.abs()));
    for _ in 0..6 {
        let k = draw.count(0..=given.len() - 1);
        // The smaller difference decides where a threshold lies within the larger one.
        let off = [1e-6, 1e-7].map(|h| {
            let (left, middle, right) = (loss(k, -h), loss(k, 0.0), loss(k, h));
            if ((right - middle) - (middle - left)).abs() > 1e-4 * largest * h {
                return 0.0;
            }
            (given[k] - (right - left) / (2.0 * h)).abs() / largest
        });
        let off = off[0].min(off[1]);
        assert!(off < 2e-6, "{what}, entry {k}: {} is off by {off:e}", given[k]);
    }
}

pub fn cast<T: Real>(numbers: &[f64]) -> Vec<T> {
    numbers.iter().map(|x| T::from_f64(*x)).collect()
}
