//! A supersampled band of the picture, and where it lies in the scene.

/// Samples per pixel and direction.
const SAMPLES: usize = 3;

/// A linear colour mix, red, green, blue.
pub(super) type Rgb = [f32; 3];

/// `a` at t = 0, `b` at t = 1.
pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
}

pub(super) fn scale(a: Rgb, k: f32) -> Rgb {
    a.map(|v| v * k)
}

/// 0 below `low`, 1 above `high`, smooth between; falls if `high < low`.
pub(super) fn smooth(low: f32, high: f32, v: f32) -> f32 {
    let t = ((v - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Whether `p` lies in the convex polygon `corners`, in either sense of rotation.
pub(super) fn inside(p: [f32; 2], corners: &[[f32; 2]]) -> bool {
    let (mut left, mut right) = (false, false);
    for (i, a) in corners.iter().enumerate() {
        let b = corners[(i + 1) % corners.len()];
        let cross = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
        left |= cross > 0.0;
        right |= cross < 0.0;
    }
    !(left && right)
}

/// The map from pixels to the scene, which spans \[0, 1.5\] × \[0, 1\] and is shown whole.
pub(super) struct View {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Pixels per unit.
    pub(super) zoom: f32,
}

impl View {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, zoom: (height as f32).min(width as f32 / 1.5) }
    }

    /// The scene's x for a distance in pixels from the left edge.
    pub(super) fn x(&self, pixel: f32) -> f32 {
        (pixel - self.width as f32 / 2.0) / self.zoom + 0.75
    }

    /// The scene's y for a distance in pixels from the upper edge.
    pub(super) fn y(&self, pixel: f32) -> f32 {
        (pixel - self.height as f32 / 2.0) / self.zoom + 0.5
    }
}

/// Rows `top .. top + rows` of the picture while it is painted, back to front.
pub(super) struct Canvas<'a> {
    pub(super) view: &'a View,
    top: usize,
    rows: usize,
    samples: Vec<Rgb>,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(view: &'a View, top: usize, rows: usize) -> Self {
        let samples = vec![[0.0; 3]; view.width * rows * SAMPLES * SAMPLES];
        Self { view, top, rows, samples }
    }

    /// Paints everything: `shade(x, y)` is the colour there.
    pub(super) fn cover(&mut self, shade: impl Fn(f32, f32) -> Rgb) {
        let all = [f32::NEG_INFINITY, f32::NEG_INFINITY, f32::INFINITY, f32::INFINITY];
        self.paint(all, |x, y, _| Some((shade(x, y), 1.0)));
    }

    /// Paints within a box `[left, top, right, bottom]`: `shade(x, y, below)` is the new colour and
    /// its opacity, or `None` to leave the sample as it is, `below`.
    pub(super) fn paint(
        &mut self,
        [left, top, right, bottom]: [f32; 4],
        shade: impl Fn(f32, f32, Rgb) -> Option<(Rgb, f32)>,
    ) {
        let n = SAMPLES as f32;
        let View { width, height, zoom } = *self.view;
        let column = |x: f32| ((x - 0.75) * zoom + width as f32 / 2.0) * n;
        let row = |y: f32| ((y - 0.5) * zoom + height as f32 / 2.0 - self.top as f32) * n;
        // Casts saturate: what lies outside of the band gives empty ranges.
        let columns = column(left) as usize..(column(right).ceil() as usize).min(width * SAMPLES);
        let rows =
            row(top) as usize..(row(bottom).ceil().max(0.0) as usize).min(self.rows * SAMPLES);
        for j in rows {
            let y = self.view.y((j as f32 + 0.5) / n + self.top as f32);
            for i in columns.clone() {
                let x = self.view.x((i as f32 + 0.5) / n);
                let sample = &mut self.samples[j * width * SAMPLES + i];
                if let Some((color, alpha)) = shade(x, y, *sample) {
                    *sample = mix(*sample, color, alpha);
                }
            }
        }
    }

    /// A stroke from `a` to `b` whose width shrinks from `thick` to nothing.
    pub(super) fn blade(&mut self, a: [f32; 2], b: [f32; 2], thick: f32, color: Rgb) {
        let bounds = [
            a[0].min(b[0]) - thick,
            a[1].min(b[1]) - thick,
            a[0].max(b[0]) + thick,
            a[1].max(b[1]) + thick,
        ];
        let d = [b[0] - a[0], b[1] - a[1]];
        let length2 = (d[0] * d[0] + d[1] * d[1]).max(1e-12);
        self.paint(bounds, |x, y, _| {
            let t = ((x - a[0]) * d[0] + (y - a[1]) * d[1]) / length2;
            let across = ((x - a[0]) * d[1] - (y - a[1]) * d[0]) / length2.sqrt();
            let within = (0.0..1.0).contains(&t) && 2.0 * across.abs() < thick * (1.0 - t);
            within.then(|| (scale(color, 0.75 + 0.4 * t), 1.0))
        });
    }

    /// The mean of every pixel's samples.
    pub(super) fn pixels(&self) -> Vec<Rgb> {
        let width = self.view.width;
        let mut pixels = vec![[0.0; 3]; width * self.rows];
        for (i, sample) in self.samples.iter().enumerate() {
            let (x, y) = (i % (width * SAMPLES) / SAMPLES, i / (width * SAMPLES) / SAMPLES);
            let share = 1.0 / (SAMPLES * SAMPLES) as f32;
            for (sum, v) in pixels[y * width + x].iter_mut().zip(sample) {
                *sum += share * v.clamp(0.0, 1.0);
            }
        }
        // Nine ninths may round to a little more than one.
        pixels.iter().map(|p| p.map(|v| v.min(1.0))).collect()
    }
}
