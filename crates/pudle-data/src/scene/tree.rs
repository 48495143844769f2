//! The tree: limbs with bark, and leaves by the thousand.

use std::f32::consts::TAU;

use rand_chacha::ChaCha8Rng;

use super::canvas::{Canvas, Rgb, mix, scale, smooth};
use super::noise::{between, fractal};

/// A leaf, or a few leaves as one ellipse.
struct Leaf {
    at: [f32; 2],
    /// Half axes, and the direction of the longer one.
    half: [f32; 2],
    turn: [f32; 2],
    color: Rgb,
}

/// A limb of the tree, from its root to its tip.
struct Limb {
    root: [f32; 2],
    tip: [f32; 2],
    thick: f32,
}

/// Where foliage gathers: centre and radii.
const CROWN: [[f32; 4]; 9] = [
    [0.215, 0.20, 0.15, 0.11],
    [0.09, 0.25, 0.12, 0.10],
    [0.33, 0.255, 0.12, 0.095],
    [0.02, 0.335, 0.10, 0.085],
    [0.15, 0.345, 0.13, 0.09],
    [0.29, 0.36, 0.12, 0.08],
    [0.40, 0.345, 0.085, 0.07],
    [0.14, 0.135, 0.10, 0.075],
    [0.285, 0.145, 0.095, 0.07],
];

const LIMBS: [Limb; 6] = [
    Limb { root: [0.195, 0.89], tip: [0.212, 0.22], thick: 0.078 },
    Limb { root: [0.20, 0.52], tip: [0.06, 0.34], thick: 0.026 },
    Limb { root: [0.21, 0.49], tip: [0.35, 0.33], thick: 0.026 },
    Limb { root: [0.205, 0.42], tip: [0.12, 0.22], thick: 0.022 },
    Limb { root: [0.21, 0.40], tip: [0.31, 0.22], thick: 0.022 },
    Limb { root: [0.115, 0.41], tip: [0.00, 0.38], thick: 0.014 },
];

pub(super) struct Tree {
    leaves: Vec<Leaf>,
    salt: u32,
}

impl Tree {
    pub(super) fn new(rng: &mut ChaCha8Rng, salt: u32) -> Self {
        Self { leaves: leaves(rng), salt }
    }

    /// The shadow of the tree on the meadow.
    pub(super) fn draw_shadow(canvas: &mut Canvas) {
        canvas.paint([-0.25, 0.80, 0.45, 0.98], |x, y, below| {
            let (u, v) = ((x - 0.08) / 0.32, (y - 0.885) / 0.06);
            Some((scale(below, 0.52), 0.85 * smooth(1.1, 0.4, u * u + v * v)))
        });
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        for limb in &LIMBS {
            draw_limb(canvas, limb, self.salt);
        }
        for leaf in &self.leaves {
            let [a, b] = leaf.half;
            let [cos, sin] = leaf.turn;
            let [cx, cy] = leaf.at;
            canvas.paint([cx - a, cy - a, cx + a, cy + a], |x, y, _| {
                let (dx, dy) = (x - cx, y - cy);
                let (u, v) = ((dx * cos + dy * sin) / a, (dy * cos - dx * sin) / b);
                (u * u + v * v < 1.0).then(|| (scale(leaf.color, 1.0 - 0.16 * v), 1.0))
            });
        }
    }
}

fn leaves(rng: &mut ChaCha8Rng) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for layer in 0..3 {
        for &[cx, cy, rx, ry] in &CROWN {
            for _ in 0..330 {
                // Denser towards the rim than a uniform disc, with a ragged outline.
                let angle = between(rng, 0.0, TAU);
                let r = between(rng, 0.0, 1.0).powf(0.6) * between(rng, 0.82, 1.08);
                let (dx, dy) = (r * angle.cos(), r * angle.sin());
                // Lit from the lower right, where the sun stands, and from the sky above.
                let facing = 0.55 * dx - 0.45 * dy + 0.20;
                let depth = layer as f32 / 2.0;
                let light = (0.20 + 0.50 * facing + 0.24 * depth + between(rng, -0.20, 0.20))
                    .clamp(0.0, 1.0);
                let color = if light < 0.5 {
                    mix([0.08, 0.17, 0.09], [0.28, 0.42, 0.14], 2.0 * light)
                } else {
                    mix([0.28, 0.42, 0.14], [0.82, 0.74, 0.30], 2.0 * light - 1.0)
                };
                let turn = between(rng, -1.2, 1.2);
                let size = between(rng, 0.008, 0.0145) * (1.15 - 0.2 * depth);
                leaves.push(Leaf {
                    at: [cx + rx * dx, cy + ry * dy],
                    half: [size, size * between(rng, 0.38, 0.62)],
                    turn: [turn.cos(), turn.sin()],
                    color,
                });
            }
        }
    }
    leaves
}

/// A limb as a tapering band with furrowed bark, wider where it starts.
fn draw_limb(canvas: &mut Canvas, limb: &Limb, salt: u32) {
    let Limb { root, tip, thick } = *limb;
    let d = [tip[0] - root[0], tip[1] - root[1]];
    let length = (d[0] * d[0] + d[1] * d[1]).sqrt();
    let bounds = [
        root[0].min(tip[0]) - thick,
        root[1].min(tip[1]),
        root[0].max(tip[0]) + thick,
        root[1].max(tip[1]) + 0.01,
    ];
    canvas.paint(bounds, |x, y, _| {
        let t = ((x - root[0]) * d[0] + (y - root[1]) * d[1]) / (length * length);
        // Positive to the right of an upward limb, where the sun is.
        let across = ((y - root[1]) * d[0] - (x - root[0]) * d[1]) / length;
        let flare = 0.75 * (-t * length / 0.030).exp();
        let ragged = 0.12 * (fractal(across * 30.0, y * 45.0, 2, salt ^ 61) - 0.5);
        let half = 0.5 * thick * (1.0 - 0.62 * t + flare + ragged);
        let u = across / half;
        if !(-0.02..1.0).contains(&t) || u.abs() > 1.0 {
            return None;
        }
        let twist = 0.03 * (fractal(x * 20.0, y * 20.0, 2, salt ^ 63) - 0.5);
        let furrow = fractal((across + twist) * 260.0, t * length * 42.0, 3, salt ^ 65);
        let bark = mix([0.13, 0.09, 0.07], [0.46, 0.35, 0.26], smooth(0.25, 0.75, furrow));
        let sun = smooth(0.25, 0.95, u);
        let lit =
            mix(scale(bark, 1.0 - 0.35 * (-u).max(0.0)), [1.0, 0.70, 0.42], 0.45 * sun * furrow);
        Some((lit, 1.0))
    });
}
