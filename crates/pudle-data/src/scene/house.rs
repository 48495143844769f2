//! The house: a gable end in the evening sun and a long side in the shade.

use super::canvas::{Canvas, Rgb, inside, mix, scale, smooth};
use super::noise::{fractal, hash, value};

const GROUND: f32 = 0.775;
const EAVE: f32 = 0.535;
/// Left and right ends of the gable, right end of the long side.
const LEFT: f32 = 0.885;
const CORNER: f32 = 1.075;
const RIGHT: f32 = 1.405;
const RIDGE: [f32; 2] = [0.98, 0.385];
/// The roof overhangs its walls by this much.
const OVER: f32 = 0.022;
/// From the gable's ridge to the far one.
const LENGTH: f32 = RIGHT - CORNER;

pub(super) fn draw(canvas: &mut Canvas, seed: u64) {
    let salt = seed as u32;
    shadow(canvas);
    smoke(canvas, salt);
    walls(canvas, salt);
    chimney(canvas, salt);
    roof(canvas, salt);
    for (x, y) in [(0.98, 0.665), (0.98, 0.525)] {
        let (w, h) = if y < 0.6 { (0.036, 0.046) } else { (0.054, 0.084) };
        window(canvas, [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0], y > 0.6, 1.0);
    }
    for x in [1.128, 1.332] {
        window(canvas, [x - 0.022, 0.618, x + 0.022, 0.698], true, 0.80);
    }
    door(canvas);
}

fn shadow(canvas: &mut Canvas) {
    canvas.paint([LEFT - 0.02, GROUND - 0.03, RIGHT + 0.2, GROUND + 0.06], |x, y, below| {
        let depth = (y - GROUND) / 0.05;
        let ends = smooth(LEFT - 0.02, LEFT + 0.02, x) * smooth(RIGHT + 0.14, RIGHT + 0.06, x);
        Some((scale(below, 0.5), ends * smooth(1.0, 0.3, depth) * smooth(-0.6, -0.3, depth)))
    });
}

/// Bricks in stretcher bond with light joints.
fn bricks(x: f32, y: f32, salt: u32) -> Rgb {
    let (w, h) = (0.0245, 0.0115);
    let course = (y / h).floor();
    let u = x / w + 0.5 * (course as i32 & 1) as f32;
    let (fu, fv) = (u - u.floor(), y / h - course);
    if fu < 0.085 || fv < 0.17 {
        return [0.74, 0.66, 0.58];
    }
    let tone = hash(u.floor() as i32, course as i32, salt);
    let stain = fractal(x * 260.0, y * 260.0, 2, salt ^ 3);
    let brick = mix([0.50, 0.20, 0.15], [0.76, 0.40, 0.27], tone);
    scale(brick, 0.82 + 0.36 * stain)
}

fn walls(canvas: &mut Canvas, salt: u32) {
    canvas.paint([LEFT, RIDGE[1], RIGHT, GROUND], |x, y, _| {
        let gable = x < CORNER;
        if gable && y < EAVE {
            let half = (CORNER - LEFT) / 2.0 * (y - RIDGE[1]) / (EAVE - RIDGE[1]);
            if (x - RIDGE[0]).abs() > half {
                return None;
            }
        } else if y < EAVE {
            return None;
        }
        let mut color = if y > GROUND - 0.028 {
            let stone = value(x * 55.0, y * 90.0, salt ^ 9);
            mix([0.42, 0.40, 0.40], [0.66, 0.62, 0.58], stone)
        } else {
            bricks(x, y, salt)
        };
        let light: Rgb = if gable { [1.16, 1.02, 0.86] } else { [0.72, 0.68, 0.76] };
        color = std::array::from_fn(|c| color[c] * light[c]);
        // Shadow of the overhanging roof, dirt above the ground, the corner's bright edge.
        let under = if gable { 0.0 } else { smooth(EAVE + 0.050, EAVE + 0.012, y) };
        color = scale(color, 1.0 - 0.45 * under - 0.25 * smooth(GROUND - 0.05, GROUND, y));
        Some((color, 1.0))
    });
}

fn chimney(canvas: &mut Canvas, salt: u32) {
    let [left, right, top, bottom] = [1.165, 1.215, 0.325, 0.46];
    canvas.paint([left - 0.006, top, right + 0.006, bottom], |x, y, _| {
        let cap = y < top + 0.014;
        if !cap && !(left..right).contains(&x) {
            return None;
        }
        let sunny = x < left + 0.017;
        let base = if cap { [0.62, 0.56, 0.52] } else { bricks(x, y, salt ^ 1) };
        Some((scale(base, if sunny { 1.12 } else { 0.70 }), 1.0))
    });
}

fn smoke(canvas: &mut Canvas, salt: u32) {
    canvas.paint([1.1, 0.02, 1.48, 0.335], |x, y, _| {
        let rise = (0.33 - y) / 0.31;
        let middle = 1.19 + 0.20 * rise.max(0.0).powf(1.7) + 0.015 * (9.0 * rise).sin();
        let half = 0.012 + 0.075 * rise;
        let body = 1.0 - ((x - middle) / half).powi(2);
        let curl = fractal(x * 24.0, y * 20.0, 5, salt ^ 17);
        let alpha = smooth(0.25, 1.1, body + 1.1 * (curl - 0.5)) * smooth(1.0, 0.1, rise) * 0.75;
        (alpha > 0.0).then(|| (mix([0.64, 0.60, 0.66], [0.99, 0.90, 0.84], curl), alpha))
    });
}

/// Rows of rounded tiles on the long side, the edge of the roof along the gable.
fn roof(canvas: &mut Canvas, salt: u32) {
    let slant = (CORNER - RIDGE[0]) / (EAVE - RIDGE[1]);
    let low = EAVE + OVER;
    let edge = |y: f32| RIDGE[0] + slant * (y - RIDGE[1]);
    let (top, bottom) = (RIDGE[1] - 0.014, low);
    canvas.paint([0.8, top, RIGHT + 0.06, bottom], |x, y, _| {
        let along = (x - edge(y)) / (LENGTH + OVER);
        if !(0.0..1.0).contains(&along) {
            return None;
        }
        if y < RIDGE[1] {
            let cap = (x * 38.0).fract();
            return Some((scale([0.50, 0.22, 0.17], 0.8 + 0.5 * cap), 1.0));
        }
        let v = (y - RIDGE[1]) / 0.0165;
        let u = (x - edge(y)) / 0.0185 + 0.5 * (v.floor() as i32 & 1) as f32;
        let (fu, fv) = (u - u.floor() - 0.5, v - v.floor());
        // Each tile ends in an arc over the next row, and throws a shadow there.
        let tip = 0.70 + 0.30 * (1.0 - 4.0 * fu * fu).max(0.0).sqrt();
        let tone = hash(u.floor() as i32, v.floor() as i32, salt ^ 41);
        let moss = smooth(0.60, 0.78, fractal(x * 12.0, y * 18.0, 4, salt ^ 43));
        let tile = mix([0.50, 0.23, 0.18], [0.73, 0.38, 0.26], tone);
        let tile = mix(tile, [0.40, 0.38, 0.22], 0.6 * moss);
        let shade = if fv > tip { 0.48 } else { 0.80 + 0.30 * fv - 0.9 * fu * fu };
        Some((scale(tile, shade * 1.02), 1.0))
    });
    // The barge boards along both sides of the gable, and the gutter.
    let foot = |side: f32| [RIDGE[0] + side * (slant * (low - RIDGE[1])), low];
    for (side, color) in [(-1.0, [0.93, 0.84, 0.70]), (1.0, [0.84, 0.74, 0.63])] {
        let end = foot(side);
        let peak = [RIDGE[0], RIDGE[1] - 0.016];
        let board = [peak, end, [end[0], end[1] - 0.020], [peak[0], peak[1] - 0.004]];
        let board = [[peak[0], peak[1] + 0.024], [end[0], end[1] + 0.006], board[2], board[3]];
        canvas.paint([0.8, 0.34, 1.15, low + 0.01], |x, y, _| {
            inside([x, y], &board).then_some((color, 1.0))
        });
    }
    canvas.paint([foot(1.0)[0], low - 0.002, RIGHT + OVER + 0.016, low + 0.008], |_, y, _| {
        Some((mix([0.80, 0.74, 0.68], [0.36, 0.32, 0.34], (y - low) / 0.008), 1.0))
    });
}

/// A lit window with frame, bars and sill; with shutters if there is room for them.
fn window(canvas: &mut Canvas, [left, top, right, bottom]: [f32; 4], shutters: bool, light: f32) {
    let (w, h) = (right - left, bottom - top);
    let frame = 0.0065;
    let wing = if shutters { 0.46 * w } else { 0.0 };
    let bounds = [left - wing - frame, top - frame, right + wing + frame, bottom + 2.2 * frame];
    canvas.paint(bounds, |x, y, _| {
        let (u, v) = ((x - left) / w, (y - top) / h);
        let paint = scale([0.97, 0.93, 0.85], light);
        if y > bottom + 0.6 * frame {
            let sill = x > left - 1.6 * frame && x < right + 1.6 * frame;
            return sill.then_some((scale(paint, 0.86), 1.0));
        }
        if x < left - frame || x > right + frame {
            let slat = ((y - top) / 0.0075).rem_euclid(1.0);
            let side =
                if x < left { (left - frame - x) / wing } else { (x - right - frame) / wing };
            let board = !(0.14..0.84).contains(&side) || !(0.05..0.95).contains(&v);
            let shade = if board { 1.0 } else { 0.62 + 0.5 * slat };
            return (y < bottom).then_some((scale([0.22, 0.42, 0.40], shade * light), 1.0));
        }
        let bar = (u - 0.5).abs() * w < 0.0024 || (v - 0.42).abs() * h < 0.0024;
        if bar || !(0.0..1.0).contains(&u) || !(0.0..1.0).contains(&v) {
            return Some((paint, 1.0));
        }
        let glow = mix([1.0, 0.90, 0.56], [0.94, 0.60, 0.24], (0.5 * v + (u - 0.5).abs()).min(1.0));
        // Curtains, drawn to both sides.
        let fold = 0.24 - 0.12 * v + 0.02 * (30.0 * v).sin();
        let curtain = u.min(1.0 - u) < fold;
        let folds = 0.82 + 0.14 * (70.0 * u).sin();
        Some((if curtain { scale([0.96, 0.82, 0.66], folds) } else { glow }, 1.0))
    });
}

fn door(canvas: &mut Canvas) {
    let [left, top, right] = [1.188, 0.622, 1.252];
    let frame = 0.007;
    canvas.paint([left - 0.02, top - frame, right + 0.02, GROUND + 0.006], |x, y, _| {
        if y > GROUND - 0.010 {
            let tone = if y > GROUND - 0.004 { 0.52 } else { 0.72 };
            return Some((scale([1.0, 0.95, 0.90], tone), 1.0));
        }
        if x < left - frame || x > right + frame {
            return None;
        }
        if x < left || x > right || y < top {
            return Some(([0.80, 0.76, 0.70], 1.0));
        }
        let (u, v) = ((x - left) / (right - left), (y - top) / (GROUND - top));
        let knob = ((x - right + 0.010).powi(2) + (y - 0.705).powi(2)).sqrt() < 0.0036;
        if knob {
            return Some(([0.96, 0.80, 0.40], 1.0));
        }
        if v < 0.34 && (0.14..0.86).contains(&u) && v > 0.07 {
            let bar = (u - 0.5).abs() < 0.035 || (v - 0.205).abs() < 0.016;
            let glass = mix([1.0, 0.84, 0.48], [0.88, 0.56, 0.26], v * 2.6);
            return Some((if bar { [0.16, 0.24, 0.27] } else { glass }, 1.0));
        }
        // Two panels, each with a lit lower and a dark upper edge.
        let column = if u < 0.5 { (u - 0.13) / 0.31 } else { (u - 0.56) / 0.31 };
        let row = (v - 0.42) / 0.50;
        let panel = (0.0..1.0).contains(&column) && (0.0..1.0).contains(&row);
        let rim = panel && (column < 0.16 || row < 0.05);
        let lit = panel && (column > 0.86 || row > 0.95);
        let shade = if rim {
            0.6
        } else if lit {
            1.45
        } else {
            1.0
        };
        Some((scale([0.20, 0.34, 0.38], shade), 1.0))
    });
}
