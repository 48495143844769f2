//! Plants, and the fence between them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::canvas::{Canvas, Rgb, View, mix, scale};
use super::fence;
use super::land::{Land, SHORE, meadow_edge, path};
use super::noise::{between, fractal, hash};
use super::tree::Tree;
use crate::rng::{Stream, step_rng};

/// A stroke of grass, or the stem of a flower.
struct Blade {
    root: [f32; 2],
    tip: [f32; 2],
    thick: f32,
    color: Rgb,
    blossom: Option<(f32, Rgb)>,
}

struct Conifer {
    x: f32,
    height: f32,
    half: f32,
}

pub(super) struct Plants {
    salt: u32,
    conifers: Vec<Conifer>,
    grass: Vec<Blade>,
    tree: Tree,
}

impl Plants {
    pub(super) fn new(seed: u64, view: &View) -> Self {
        let salt = seed as u32;
        // How far the land reaches to the sides and below in this picture. Nothing grows beyond a dozen times
        // the size of the composition, so that very narrow pictures do not take too long.
        let (left, right) = (view.x(0.0).max(-12.0), view.x(view.width as f32).min(12.0));
        let bottom = view.y(view.height as f32).min(12.0);
        let rng = |part| step_rng(seed, Stream::Scene, part);
        Self {
            salt,
            conifers: conifers(&mut rng(0), left, right),
            grass: grass(&mut rng(1), left, right, bottom, salt),
            tree: Tree::new(&mut rng(2), salt),
        }
    }

    /// The wood on the far shore, with its reflection.
    pub(super) fn draw_far(&self, canvas: &mut Canvas, land: &Land) {
        for (i, tree) in self.conifers.iter().enumerate() {
            let base = SHORE + 0.004;
            let tone = hash(i as i32, 3, self.salt);
            let haze = land.sky(tree.x, 0.47);
            let color = mix(mix([0.09, 0.17, 0.17], [0.17, 0.27, 0.22], tone), haze, 0.12);
            let bounds = [
                tree.x - tree.half,
                base - tree.height,
                tree.x + tree.half,
                base + tree.height * 0.75,
            ];
            canvas.paint(bounds, |x, y, _| {
                let mirrored = y > base;
                let up = if mirrored { (y - base) / 0.75 } else { base - y } / tree.height;
                // Branches in tiers, each wider at its lower end.
                let tier = 1.0 - (up * 7.0).fract();
                let half = tree.half * (1.0 - up) * (0.62 + 0.38 * tier);
                let wave = if mirrored { 0.004 * (y * 900.0 + x * 40.0).sin() } else { 0.0 };
                let off = (x - tree.x + wave).abs();
                (off < half).then_some((color, if mirrored { 0.45 } else { 1.0 }))
            });
        }
    }

    /// Tree, fence and grass, in front of the house.
    pub(super) fn draw_near(&self, canvas: &mut Canvas) {
        Tree::draw_shadow(canvas);
        let horizon = self.grass.partition_point(|b| b.root[1] < 0.845);
        self.draw_grass(canvas, 0..horizon);
        fence::draw(canvas, self.salt);
        self.tree.draw(canvas);
        self.draw_grass(canvas, horizon..self.grass.len());
    }

    fn draw_grass(&self, canvas: &mut Canvas, which: std::ops::Range<usize>) {
        for blade in &self.grass[which] {
            canvas.blade(blade.root, blade.tip, blade.thick, blade.color);
            if let Some((size, color)) = blade.blossom {
                let [cx, cy] = blade.tip;
                canvas.paint([cx - size, cy - size, cx + size, cy + size], |x, y, _| {
                    let (dx, dy) = ((x - cx) / size, (y - cy) / (0.8 * size));
                    let r = (dx * dx + dy * dy).sqrt();
                    let petals = 0.72 + 0.28 * (5.0 * dy.atan2(dx)).cos();
                    let heart = [0.98, 0.82, 0.30];
                    (r < petals)
                        .then(|| (if r < 0.3 { heart } else { scale(color, 1.05 - 0.2 * dy) }, 1.0))
                });
            }
        }
    }
}

fn conifers(rng: &mut ChaCha8Rng, left: f32, right: f32) -> Vec<Conifer> {
    let mut trees = Vec::new();
    let mut x = left - 0.05;
    while x < right + 0.05 {
        x += between(rng, 0.004, 0.016);
        // Open water under the sun.
        let gap = 1.0 - 0.75 * (-((x - 0.60) / 0.13).powi(2)).exp();
        let height = between(rng, 0.028, 0.075) * gap;
        trees.push(Conifer { x, height, half: height * between(rng, 0.16, 0.24) });
    }
    trees
}

fn grass(rng: &mut ChaCha8Rng, left: f32, right: f32, bottom: f32, salt: u32) -> Vec<Blade> {
    let mut blades = Vec::new();
    // Rows from the back to the front, so that nearer blades cover farther ones.
    let mut y = 0.665;
    while y < bottom + 0.08 {
        let near = ((y - 0.64) / 0.36).clamp(0.05, 1.6);
        let mut x = left - 0.02;
        while x < right + 0.02 {
            x += between(rng, 0.3, 1.7) * (0.0035 + 0.0065 * near);
            let root = [x, y + between(rng, -0.004, 0.004)];
            let patch = fractal(x * 7.0, y * 22.0, 4, salt ^ 31);
            let length = near * between(rng, 0.020, 0.052) * (0.55 + 0.9 * patch);
            let lean = length * between(rng, -0.45, 0.55);
            let tone = (0.75 * patch + between(rng, -0.25, 0.45)).clamp(0.0, 1.0);
            let light = mix([0.66, 0.68, 0.30], [0.50, 0.60, 0.20], near.min(1.0));
            let color = mix([0.14, 0.27, 0.10], light, tone);
            let dice: f32 = rng.random();
            let (middle, half) = path(root[1]);
            let on_path = y > 0.76 && (x - middle).abs() < half * 0.95;
            let in_house = root[1] < 0.785 && (0.87..1.42).contains(&x);
            if on_path || in_house || root[1] < meadow_edge(x) + 0.008 {
                continue;
            }
            let blossom = (dice < 0.022 && patch > 0.42).then(|| {
                let color = match (dice * 1000.0) as u32 % 3 {
                    0 => [0.98, 0.95, 0.90],
                    1 => [0.90, 0.34, 0.30],
                    _ => [0.80, 0.62, 0.90],
                };
                (0.0045 + 0.0065 * near, color)
            });
            let tip = [x + lean, root[1] - length];
            blades.push(Blade { root, tip, thick: 0.0022 + 0.0045 * near, color, blossom });
        }
        y += 0.0055 + 0.010 * near;
    }
    blades.sort_by(|a, b| a.root[1].total_cmp(&b.root[1]));
    blades
}
