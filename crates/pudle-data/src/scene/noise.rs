//! Random numbers, and smooth noise for textures and terrain.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A number drawn uniformly from \[`low`, `high`).
pub(super) fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

/// A well mixed 32-bit hash of a lattice point, as a number in \[0, 1).
pub(super) fn hash(x: i32, y: i32, salt: u32) -> f32 {
    // The finaliser of MurmurHash3 over an odd-multiplier combination of the coordinates.
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1)
        ^ (y as u32).wrapping_mul(0x85eb_ca77)
        ^ salt.wrapping_mul(0xc2b2_ae3d);
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    ((h ^ (h >> 16)) >> 8) as f32 / (1 << 24) as f32
}

/// Value noise in \[0, 1): random values on the integer lattice, smoothly interpolated.
pub(super) fn value(x: f32, y: f32, salt: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (ease(x - fx), ease(y - fy));
    let (i, j) = (fx as i32, fy as i32);
    let (i1, j1) = (i.wrapping_add(1), j.wrapping_add(1));
    let (a, b) = (hash(i, j, salt), hash(i1, j, salt));
    let (c, d) = (hash(i, j1, salt), hash(i1, j1, salt));
    let (top, bottom) = (a + (b - a) * tx, c + (d - c) * tx);
    top + (bottom - top) * ty
}

/// Octaves of value noise, each of half the size and half the height; in \[0, 1), mean about ½.
pub(super) fn fractal(x: f32, y: f32, octaves: u32, salt: u32) -> f32 {
    let (mut sum, mut weight, mut total) = (0.0, 1.0, 0.0);
    let (mut x, mut y) = (x, y);
    for octave in 0..octaves {
        sum += weight * value(x, y, salt.wrapping_add(octave));
        total += weight;
        weight *= 0.5;
        // Turned by an angle without symmetry, so that the lattices of octaves do not line up.
        (x, y) = (1.6 * x + 1.2 * y, 1.6 * y - 1.2 * x);
    }
    sum / total
}
