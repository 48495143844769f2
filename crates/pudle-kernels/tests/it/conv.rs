//! The convolutional pass against plain loops and finite differences.

use crate::common::{
    Draw, analyze, assert_differences, cast, distance, seeds, synthesize, unrolled,
};
use pudle_kernels::{
    Banks, Encoder, Extrapolation, Geometry, Real, Shrinkage, Tying, Unrolling, Wanted,
    conv_forward,
};

struct Problem {
    geometry: Geometry,
    banks: Banks<Vec<f64>>,
    batch: usize,
    x: Vec<f64>,
    step: f64,
    levels: Vec<f64>,
    level_shape: [usize; 3],
    unrolling: Unrolling,
    target: Vec<f64>,
    weights: Vec<f64>,
}

impl Problem {
    fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let kernel = [draw.count(1..=5), draw.count(1..=5)];
        let geometry = Geometry {
            channels: draw.pick(&[1, 1, 3]),
            height: kernel[0] + draw.count(0..=30),
            width: kernel[1] + draw.count(0..=9),
            atoms: draw.pick(&[1, 3, 17, 70]),
            kernel,
            stride: [draw.count(1..=kernel[0]), draw.count(1..=kernel[1])],
        };
        let batch = draw.count(1..=3);
        let layers = draw.count(1..=6);
        let tying = draw.pick(&[Tying::Tied, Tying::Tied, Tying::Decoder, Tying::Untied]);
        let level_shape =
            [draw.pick(&[1, layers]), draw.pick(&[1, batch]), draw.pick(&[1, geometry.atoms])];
        let positions: usize = geometry.positions().iter().product();
        let scale = 1.0 / (geometry.taps() as f64).sqrt();
        let high = draw.pick(&[0.0, 0.02, 0.05, 0.2, 100.0]);
        Self {
            banks: tying
                .banks((), (), ())
                .map(|()| draw.numbers(geometry.atoms * geometry.taps(), -scale, scale)),
            batch,
            x: draw.numbers(batch * geometry.pixels(), -1.0, 1.0),
            step: 0.1,
            levels: draw.numbers(level_shape.iter().product(), 0.0, high + 1e-300),
            level_shape,
            unrolling: Unrolling {
                layers,
                shrinkage: draw.pick(&[Shrinkage::Soft, Shrinkage::Relu, Shrinkage::Hard]),
                extrapolation: draw.pick(&[Extrapolation::None, Extrapolation::Fista]),
                recorded: draw.count(0..=layers),
                recompute: draw.pick(&[false, true]),
                half: false,
            },
            target: draw.numbers(batch * geometry.pixels(), -1.0, 1.0),
            weights: draw.numbers(batch * geometry.atoms * positions, -1.0, 1.0),
            geometry,
        }
    }

    fn encoder(&self) -> Encoder<'_, f64> {
        Encoder {
            banks: self.banks.as_ref().map(Vec::as_slice),
            step: self.step,
            levels: &self.levels,
            level_shape: self.level_shape,
        }
    }

    /// Code and reconstruction of each datum, with the layers before the recorded ones run by
    /// `constant`'s numbers.
    fn naive(&self, constant: &Problem) -> (Vec<f64>, Vec<f64>) {
        let g = &self.geometry;
        let positions: usize = g.positions().iter().product();
        let n = g.atoms * positions;
        let (mut codes, mut images) = (Vec::new(), Vec::new());
        for i in 0..self.batch {
            let zero = (vec![0.0; n], vec![0.0; n]);
            let first = self.unrolling.layers - self.unrolling.recorded;
            let run = |problem: &Problem, range, start| {
                let x = &problem.x[i * g.pixels()..][..g.pixels()];
                let gradient = |y: &[f64]| {
                    let image = synthesize(g, &problem.banks.synthesis, y);
                    let r: Vec<f64> = image.iter().zip(x).map(|(a, b)| a - b).collect();
                    analyze(g, problem.banks.for_analysis(), &r)
                };
                let atom = |k| k / positions;
                unrolled((n, i), &problem.encoder(), &self.unrolling, range, start, gradient, atom)
            };
            let state = run(constant, 0..first, zero);
            let (z, _) = run(self, first..self.unrolling.layers, state);
            images.extend(synthesize(g, self.banks.for_decoder(), &z));
            codes.extend(z);
        }
        (codes, images)
    }

    fn loss(&self, constant: &Problem) -> f64 {
        let (code, image) = self.naive(constant);
        let fit: f64 = image.iter().zip(&self.target).map(|(a, b)| 0.5 * (a - b).powi(2)).sum();
        // The code of a dropped response is a constant.
        let direct: f64 = code.iter().zip(&self.weights).map(|(z, w)| z * w).sum();
        fit + if self.unrolling.recorded > 0 { direct } else { 0.0 }
    }

    fn copy(&self) -> Problem {
        Problem {
            x: self.x.clone(),
            banks: self.banks.clone(),
            levels: self.levels.clone(),
            target: self.target.clone(),
            weights: self.weights.clone(),
            ..*self
        }
    }
}

fn forward_is_naive<T: Real>(seed: u64, tolerance: f64) {
    let problem = Problem::draw(seed);
    let (code, image) = problem.naive(&problem);
    let (x, levels) = (cast::<T>(&problem.x), cast::<T>(&problem.levels));
    let banks = problem.banks.as_ref().map(|bank| cast::<T>(bank));
    let encoder = Encoder {
        banks: banks.as_ref().map(Vec::as_slice),
        step: T::from_f64(problem.step),
        levels: &levels,
        level_shape: problem.level_shape,
    };
    let (output, _) = conv_forward(problem.geometry, &x, encoder, problem.unrolling, false);
    assert!(distance(output.code(), &cast(&code)) < tolerance, "seed {seed}: code");
    assert!(distance(output.reconstruction(), &cast(&image)) < tolerance, "seed {seed}: image");
}

#[test]
fn forward_equals_plain_loops() {
    for seed in seeds(0..60) {
        forward_is_naive::<f64>(seed, 1e-12);
    }
}

#[test]
fn forward_equals_plain_loops_in_single_precision() {
    // A hard threshold jumps where rounding does; those have their own tolerance in f64 above.
    for seed in seeds(0..60).filter(|s| Problem::draw(*s).unrolling.shrinkage != Shrinkage::Hard) {
        forward_is_naive::<f32>(seed, 1e-5);
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for seed in seeds(100..160) {
        let problem = Problem::draw(seed);
        let (output, tape) =
            conv_forward(problem.geometry, &problem.x, problem.encoder(), problem.unrolling, true);
        let error: Vec<f64> =
            output.reconstruction().iter().zip(&problem.target).map(|(a, b)| a - b).collect();
        let wanted = Wanted { data: true, encoder: true };
        let gradients = tape.unwrap().backward(&error, Some(&problem.weights), wanted);
        let mut draw = Draw::new(seed);
        let mut check = |name: &str, given: &[f64], of: &dyn Fn(&mut Problem) -> &mut [f64]| {
            let loss = |k: usize, change: f64| {
                let mut moved = problem.copy();
                of(&mut moved)[k] += change;
                moved.loss(&problem)
            };
            let what = format!("seed {seed}, {name}, {:?}", problem.unrolling);
            assert_differences(&mut draw, given, loss, what);
        };
        let Banks { analysis, synthesis, decoder } = &gradients.banks;
        assert_eq!(gradients.banks.tying(), problem.banks.tying());
        check("synthesis", synthesis, &|p| &mut p.banks.synthesis);
        if let Some(analysis) = analysis {
            check("analysis", analysis, &|p| p.banks.for_analysis_mut());
        }
        if let Some(decoder) = decoder {
            check("decoder", decoder, &|p| p.banks.for_decoder_mut());
        }
        check("data", gradients.data.as_ref().unwrap(), &|p| &mut p.x);
        check("step", &[gradients.step.unwrap()], &|p| std::slice::from_mut(&mut p.step));
        if problem.levels.iter().all(|level| *level > 1e-5) {
            check("levels", gradients.levels.as_ref().unwrap(), &|p| &mut p.levels);
        }
    }
}

#[test]
fn numbers_that_overflow_are_no_panic() {
    for seed in seeds(0..40) {
        let mut problem = Problem::draw(seed);
        problem.step = 1e200;
        problem.x[0] = [f64::INFINITY, f64::NAN, 1e300][seed as usize % 3];
        let Problem { geometry, x, unrolling, .. } = &problem;
        let (output, tape) = conv_forward(*geometry, x, problem.encoder(), *unrolling, true);
        let wanted = Wanted { data: true, encoder: true };
        tape.unwrap().backward(output.reconstruction(), Some(output.code()), wanted);
    }
}
