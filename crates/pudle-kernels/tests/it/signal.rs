//! The pass for signals against the pass over patches, which is held to plain loops and finite differences.

use crate::common::{Draw, cast, distance, seeds};
use pudle_kernels::{
    Banks, Encoder, Extrapolation, Geometry, Real, Shrinkage, Tying, Unrolling, Wanted,
    conv_forward, signal_forward, takes_signals,
};

struct Problem {
    geometry: Geometry,
    banks: Banks<Vec<f64>>,
    x: Vec<f64>,
    levels: Vec<f64>,
    level_shape: [usize; 3],
    unrolling: Unrolling,
    error: Vec<f64>,
    code_error: Vec<f64>,
}

impl Problem {
    /// Signals over several tiles of positions, with codes that are dense, sparse or zero.
    fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let taps = draw.pick(&[1, 2, 7, 40, 90]);
        let geometry = Geometry {
            channels: draw.pick(&[1, 1, 3]),
            height: taps + draw.pick(&[0, 1, 30, 63, 64, 400]),
            width: 1,
            atoms: draw.pick(&[1, 3, 4, 9]),
            kernel: [taps, 1],
            stride: [1, 1],
        };
        let (batch, layers) = (draw.count(1..=3), draw.count(1..=7));
        let tying = draw.pick(&[Tying::Tied, Tying::Tied, Tying::Decoder, Tying::Untied]);
        let level_shape =
            [draw.pick(&[1, layers]), draw.pick(&[1, batch]), draw.pick(&[1, geometry.atoms])];
        let scale = 1.0 / (geometry.taps() as f64).sqrt();
        let high = draw.pick(&[0.0, 0.02, 0.1, 0.2, 100.0]);
        let mut x: Vec<f64> = draw.numbers(batch * geometry.pixels(), -1.0, 1.0);
        // Quiet stretches, which no code reaches at first.
        x.iter_mut().enumerate().filter(|(i, _)| i / 50 % 4 != 1).for_each(|(_, x)| *x *= 0.1);
        let codes = batch * geometry.atoms * (geometry.height - taps + 1);
        Self {
            banks: tying
                .banks((), (), ())
                .map(|()| draw.numbers(geometry.atoms * geometry.taps(), -scale, scale)),
            x,
            levels: draw.numbers(level_shape.iter().product(), 0.0, high + 1e-300),
            level_shape,
            unrolling: Unrolling {
                layers,
                shrinkage: draw.pick(&[Shrinkage::Soft, Shrinkage::Relu, Shrinkage::Hard]),
                extrapolation: draw.pick(&[Extrapolation::None, Extrapolation::Fista]),
                recorded: draw.count(0..=layers),
                recompute: false,
                half: false,
            },
            error: draw.numbers(batch * geometry.pixels(), -1.0, 1.0),
            code_error: draw.numbers(codes, -1.0, 1.0),
            geometry,
        }
    }

    fn agrees<T: Real>(&self, seed: u64, tolerance: f64) {
        let (x, levels) = (cast::<T>(&self.x), cast::<T>(&self.levels));
        let banks = self.banks.as_ref().map(|bank| cast::<T>(bank));
        let encoder = Encoder {
            banks: banks.as_ref().map(Vec::as_slice),
            step: T::from_f64(0.2),
            levels: &levels,
            level_shape: self.level_shape,
        };
        assert!(takes_signals(&self.geometry));
        let (expected, tape) = conv_forward(self.geometry, &x, encoder, self.unrolling, true);
        let (found, signal_tape) = signal_forward(self.geometry, &x, encoder, self.unrolling, true);
        let (alone, none) = signal_forward(self.geometry, &x, encoder, self.unrolling, false);
        assert!(none.is_none() && alone.numbers == found.numbers, "seed {seed}: a tape");
        let near = |name: &str, found: &[T], expected: &[T]| {
            let distance = distance(found, expected);
            assert!(distance < tolerance, "seed {seed}, {name}: {distance:e}");
        };
        near("code", found.code(), expected.code());
        near("reconstruction", found.reconstruction(), expected.reconstruction());
        // A gradient is the difference of larger numbers.
        let near = |name: &str, found: &[T], expected: &[T]| {
            let distance = distance(found, expected);
            assert!(distance < 10.0 * tolerance, "seed {seed}, {name}: {distance:e}");
        };
        let (error, code_error) = (cast::<T>(&self.error), cast::<T>(&self.code_error));
        let wanted = Wanted { data: true, encoder: true };
        let tape = tape.unwrap().backward(&error, Some(&code_error), wanted);
        let found = signal_tape.unwrap().backward(&error, Some(&code_error), wanted);
        for (found, expected) in found.banks.iter().zip(tape.banks.iter()) {
            near("bank", found, expected);
        }
        near("data", found.data.as_ref().unwrap(), tape.data.as_ref().unwrap());
        near("levels", found.levels.as_ref().unwrap(), tape.levels.as_ref().unwrap());
        near("step", &[found.step.unwrap()], &[tape.step.unwrap()]);
    }
}

#[test]
fn signals_equal_patches() {
    for seed in seeds(0..120) {
        Problem::draw(seed).agrees::<f64>(seed, 1e-12);
    }
}

#[test]
fn signals_equal_patches_in_single_precision() {
    // A hard threshold jumps where rounding does.
    for seed in seeds(0..120) {
        let problem = Problem::draw(seed);
        if problem.unrolling.shrinkage != Shrinkage::Hard {
            problem.agrees::<f32>(seed, 1e-5);
        }
    }
}

#[test]
fn signed_levels_equal_patches() {
    for seed in seeds(0..20) {
        let mut problem = Problem::draw(seed);
        problem.unrolling.shrinkage = Shrinkage::SignedSoft;
        problem.unrolling.recorded = 0;
        problem.levels.iter_mut().step_by(2).for_each(|level| *level = -*level);
        problem.agrees::<f64>(seed, 1e-12);
    }
}

#[test]
fn a_signal_that_is_not_finite_is_no_panic() {
    for seed in seeds(0..20) {
        let mut problem = Problem::draw(seed);
        problem.x[0] = [f64::INFINITY, f64::NAN, 1e300][seed as usize % 3];
        let encoder = Encoder {
            banks: problem.banks.as_ref().map(Vec::as_slice),
            step: 1e200,
            levels: &problem.levels,
            level_shape: problem.level_shape,
        };
        let (output, tape) =
            signal_forward(problem.geometry, &problem.x, encoder, problem.unrolling, true);
        let wanted = Wanted { data: true, encoder: true };
        tape.unwrap().backward(output.reconstruction(), Some(output.code()), wanted);
    }
}

#[test]
fn other_problems_are_not_signals() {
    let signal = Problem::draw(0).geometry;
    assert!(!takes_signals(&Geometry { stride: [2, 1], ..signal }));
    assert!(!takes_signals(&Geometry { width: 5, ..signal }));
    assert!(!takes_signals(&Geometry { atoms: 17, channels: 1, ..signal }));
}
