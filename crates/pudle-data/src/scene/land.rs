//! Sky, mountains, lake, meadow and path: what fills the whole picture.

use super::canvas::{Canvas, Rgb, mix, scale, smooth};
use super::noise::{fractal, value};

/// Where the sun stands.
pub(crate) const SUN: [f32; 2] = [0.605, 0.345];
/// The far shore of the lake.
pub(super) const SHORE: f32 = 0.545;
const SUNLIGHT: Rgb = [1.0, 0.80, 0.50];

/// Heights and colours of a ridge: base height, relief, coarseness, colour.
struct Ridge {
    base: f32,
    relief: f32,
    frequency: f32,
    color: Rgb,
    snow: f32,
}

const RIDGES: [Ridge; 3] = [
    Ridge { base: 0.405, relief: 0.30, frequency: 2.1, color: [0.50, 0.47, 0.63], snow: 0.9 },
    Ridge { base: 0.475, relief: 0.20, frequency: 3.0, color: [0.36, 0.37, 0.52], snow: 0.0 },
    Ridge { base: 0.522, relief: 0.11, frequency: 4.6, color: [0.20, 0.29, 0.33], snow: 0.0 },
];

/// The near shore, where the meadow begins.
pub(super) fn meadow_edge(x: f32) -> f32 {
    0.655 + 0.012 * (4.0 * x + 0.6).sin() + 0.005 * (17.0 * x).sin()
}

/// The middle of the path at height `y`, and half its width.
pub(super) fn path(y: f32) -> (f32, f32) {
    let t = (y - 0.765) / 0.235;
    let bend = (3.6 * t).sin() * 0.055 * t.clamp(0.0, 1.0);
    (1.215 - 0.38 * t.max(0.0).powf(1.25) + bend, 0.020 + 0.075 * t.max(0.0).powf(1.3))
}

pub(super) struct Land {
    salt: u32,
}

impl Land {
    pub(super) fn new(seed: u64) -> Self {
        Self { salt: (seed ^ (seed >> 32)) as u32 }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        canvas.cover(|x, y| self.color(x, y));
    }

    fn color(&self, x: f32, y: f32) -> Rgb {
        if y > meadow_edge(x) {
            self.meadow(x, y)
        } else if y > SHORE {
            self.lake(x, y)
        } else {
            self.far(x, y)
        }
    }

    /// Sky and mountains, above the far shore.
    fn far(&self, x: f32, y: f32) -> Rgb {
        for (i, ridge) in RIDGES.iter().enumerate().rev() {
            let crest = self.crest(i, x);
            if y > crest {
                return self.slope(i, ridge, x, y, crest);
            }
        }
        self.sky(x, y)
    }

    fn crest(&self, i: usize, x: f32) -> f32 {
        let Ridge { base, relief, frequency, .. } = RIDGES[i];
        let salt = self.salt.wrapping_add(100 * i as u32);
        // Folding the noise at its middle makes peaks sharp and valleys wide.
        let coarse = 1.0 - (2.0 * fractal(x * frequency, 7.3, 2, salt) - 1.0).abs();
        let fine = fractal(x * frequency * 5.0, 1.7, 4, salt ^ 77) - 0.5;
        // A pass, through which the sun shines.
        let pass = 1.0 - 0.72 * (-((x - SUN[0]) / 0.10).powi(2)).exp();
        base - relief * pass * (coarse.powf(1.8) * 0.85 - 0.45 * pass) - relief * 0.24 * fine
    }

    fn slope(&self, i: usize, ridge: &Ridge, x: f32, y: f32, crest: f32) -> Rgb {
        let salt = self.salt.wrapping_add(1000 + 100 * i as u32);
        let (u, v) = (x * ridge.frequency, (y - crest) * ridge.frequency);
        // Gullies run downhill: noise stretched along the slope, lit from the sun's side.
        let relief = |u: f32| fractal(u * 9.0 + v * 5.0, v * 6.0 - u * 3.0, 5, salt);
        let facing = (relief(u + 0.02) - relief(u - 0.02)) * ((SUN[0] - x) / 0.06).clamp(-1.0, 1.0);
        let light = (0.5 - facing * 4.5).clamp(0.0, 1.0);
        let mut color = mix(scale(ridge.color, 0.78), mix(ridge.color, SUNLIGHT, 0.30), light);
        if ridge.snow > 0.0 {
            let line = 0.02 + 0.10 * (0.46 - crest).max(0.0) / 0.2;
            let cover = smooth(line + 0.035, line - 0.015, y - crest + 0.07 * (relief(u) - 0.5));
            let snow = mix([0.60, 0.58, 0.74], [1.0, 0.90, 0.84], light);
            color = mix(color, snow, ridge.snow * cover * smooth(0.42, 0.37, crest));
        }
        // Mist gathers in the valleys and glows under the sun.
        let glow = (-(x - SUN[0]).powi(2) / 0.12).exp();
        let mist = mix([0.74, 0.66, 0.72], [1.0, 0.82, 0.60], glow);
        let depth = smooth(crest, SHORE + 0.04, y);
        mix(color, mist, depth * (0.62 - 0.16 * i as f32) + 0.10 * glow)
    }

    pub(super) fn sky(&self, x: f32, y: f32) -> Rgb {
        const STOPS: [(f32, Rgb); 5] = [
            (-0.1, [0.20, 0.32, 0.56]),
            (0.12, [0.40, 0.52, 0.72]),
            (0.28, [0.76, 0.70, 0.75]),
            (0.40, [0.98, 0.79, 0.60]),
            (0.52, [1.00, 0.70, 0.44]),
        ];
        let mut color = STOPS[0].1;
        for pair in STOPS.windows(2) {
            color = mix(color, pair[1].1, smooth(pair[0].0, pair[1].0, y));
        }
        let (dx, dy) = (x - SUN[0], y - SUN[1]);
        let far = (dx * dx + dy * dy).sqrt();
        color = mix(color, [1.0, 0.88, 0.62], 0.75 * (-far / 0.16).exp());
        let disc = smooth(0.0445, 0.0425, far);
        color = mix(color, [1.0, 0.98, 0.88], disc);
        self.clouds(color, x, y, far)
    }

    /// Long clouds, lit from the sun below them.
    fn clouds(&self, sky: Rgb, x: f32, y: f32, far: f32) -> Rgb {
        // Towards the horizon one looks along the layer of clouds, which flattens them.
        let flat = 4.2 + 14.0 * smooth(0.0, 0.5, y);
        let density = |y: f32| {
            let (u, v) = (x * 2.7, y * flat);
            let warp = fractal(u * 1.3, v * 1.3, 3, self.salt ^ 5) - 0.5;
            let n = fractal(u + 0.8 * warp, v + 0.5 * warp, 6, self.salt ^ 11);
            smooth(0.50, 0.74, n + 0.05 * smooth(0.3, 0.1, y))
        };
        let here = density(y);
        if here <= 0.0 {
            return sky;
        }
        // Thick cloud towards the sun shades; thin edges let the light through.
        let shade = (density(y + 0.022) * 0.75 + 0.25 * here).clamp(0.0, 1.0);
        let warm = (-far / 0.42).exp();
        let bright = mix([0.97, 0.86, 0.82], [1.0, 0.90, 0.66], warm);
        let dark = mix([0.50, 0.50, 0.64], [0.86, 0.56, 0.48], warm);
        mix(sky, mix(bright, dark, shade), 0.88 * here * smooth(0.53, 0.44, y))
    }

    /// Water: what is above the shore, mirrored, shaken and darkened.
    fn lake(&self, x: f32, y: f32) -> Rgb {
        let depth = (y - SHORE) / 0.11;
        let frequency = 420.0 / (1.0 + 3.0 * depth);
        let wave = fractal(x * frequency * 0.16, y * frequency, 3, self.salt ^ 21) - 0.5;
        let up = SHORE - 1.35 * (y - SHORE) + wave * 0.10 * (0.15 + depth);
        let mirrored = self.far(x + wave * 0.012, up.min(SHORE - 0.002));
        let mut color = mix(mirrored, [0.24, 0.36, 0.50], 0.26 + 0.12 * depth);
        color = scale(color, 0.97 + 0.30 * wave);
        // The sun's road: glints on the waves that lean the right way.
        let road = (-((x - SUN[0]) / (0.035 + 0.05 * depth)).powi(2)).exp();
        let glint =
            smooth(0.52, 0.72, value(x * frequency * 0.22, y * frequency * 1.1, self.salt ^ 23));
        color = mix(color, [1.0, 0.90, 0.66], road * (0.34 + 0.62 * glint));
        mix(color, [0.92, 0.78, 0.70], 0.5 * smooth(SHORE + 0.006, SHORE, y))
    }

    /// The ground under the grass, with the path.
    fn meadow(&self, x: f32, y: f32) -> Rgb {
        let near = smooth(0.62, 1.05, y);
        let patch = fractal(x * 7.0, y * 22.0, 4, self.salt ^ 31);
        let light = mix([0.58, 0.60, 0.26], [0.32, 0.45, 0.15], near);
        let dark = mix([0.36, 0.46, 0.22], [0.13, 0.26, 0.09], near);
        let tuft = fractal(x * 130.0, y * 90.0, 2, self.salt ^ 33);
        let grass = mix(dark, light, (0.1 + 0.7 * patch + 0.45 * (tuft - 0.5)).clamp(0.0, 1.0));
        // Wet sand at the water.
        let rim = smooth(0.012, 0.002, y - meadow_edge(x) - 0.006 * patch);
        let grass = mix(grass, [0.60, 0.52, 0.40], 0.8 * rim);

        let (middle, half) = path(y);
        let ragged = 0.30 * (fractal(x * 40.0, y * 60.0, 3, self.salt ^ 35) - 0.5);
        let across = (x - middle) / half;
        let cover = smooth(1.05, 0.85, across.abs() + ragged) * smooth(0.762, 0.770, y);
        let grain = 34.0 / (0.3 + near);
        let pebble = fractal(x * grain * 2.0, y * grain * 5.0, 3, self.salt ^ 37);
        let sand =
            mix([0.50, 0.39, 0.28], [0.88, 0.73, 0.54], (1.7 * pebble - 0.35).clamp(0.0, 1.0));
        mix(grass, scale(sand, 1.05 - 0.16 * across), cover)
    }
}
