//! A picket fence.

use super::canvas::{Canvas, Rgb, mix, scale, smooth};
use super::noise::{fractal, hash};

/// White pickets on two rails, with a gap where the path goes through.
pub(super) fn draw(canvas: &mut Canvas, salt: u32) {
    const BASE: f32 = 0.862;
    const TALL: f32 = 0.088;
    const STEP: f32 = 0.0295;
    let (gate_left, gate_right) = (1.040, 1.185);
    let right = canvas.view.x(canvas.view.width as f32).clamp(1.5, 12.0) + STEP;
    let paint = |tone: f32, grain: f32| -> Rgb {
        let worn = smooth(0.66, 0.74, grain);
        mix(scale([0.97, 0.92, 0.86], tone), [0.55, 0.50, 0.45], 0.55 * worn)
    };
    for (from, to) in [(0.52, gate_left), (gate_right, right)] {
        // What the fence throws on the grass before it.
        canvas.paint([from, BASE - 0.012, to, BASE + 0.022], |x, y, below| {
            let stripe = ((x + 0.4 * (y - BASE)) / STEP).fract();
            let dark = if stripe < 0.6 { 0.62 } else { 0.9 };
            Some((scale(below, dark), smooth(0.022, 0.012, (y - BASE).abs())))
        });
        for rail in [0.28, 0.72] {
            let y0 = BASE - rail * TALL;
            canvas.paint([from - 0.004, y0 - 0.005, to + 0.004, y0 + 0.005], |x, y, _| {
                let tone = if y < y0 - 0.0025 { 0.90 } else { 0.66 };
                Some((paint(tone, fractal(x * 60.0, y * 500.0, 3, salt ^ 71)), 1.0))
            });
        }
        let count = ((to - from) / STEP).round().max(1.0);
        for i in 0..=count as i32 {
            let post = i == 0 || i as f32 == count;
            let middle = from + (to - from) * i as f32 / count;
            let half = if post { 0.0125 } else { 0.0085 };
            let jitter = hash(i, (from * 100.0) as i32, salt) - 0.5;
            let tall = TALL * if post { 1.22 } else { 1.0 + 0.05 * jitter };
            let top = BASE - tall;
            let bounds = [middle - 1.4 * half, top - 0.002, middle + 1.4 * half, BASE + 0.006];
            canvas.paint(bounds, |x, y, _| {
                let u = (x - middle - 0.03 * jitter * (BASE - y)) / half;
                let tip = if post { 0.006 } else { 0.017 };
                if u.abs() > 1.0 || y < top + tip * u.abs() {
                    return None;
                }
                let grain = fractal(x * 420.0 + 7.0 * i as f32, y * 30.0, 3, salt ^ 73);
                // The sun is to the left: that edge shines, the other is in shade.
                let tone = if u > 0.62 {
                    0.62
                } else if u < -0.72 {
                    1.06
                } else {
                    0.93 + 0.1 * jitter
                };
                let foot = 1.0 - 0.35 * smooth(BASE - 0.022, BASE, y);
                Some((scale(paint(tone, grain), foot), 1.0))
            });
        }
    }
}
