//! The pass through a matrix against plain loops and finite differences.

use crate::common::{Draw, assert_differences, cast, distance, seeds, unrolled};
use pudle_kernels::{
    Banks, DenseForm, Encoder, Extrapolation, Real, Shrinkage, Unrolling, Wanted, dense_forward_in,
};

const FORMS: [DenseForm; 2] = [DenseForm::Gram, DenseForm::Residual];

#[derive(Clone)]
struct Problem {
    dim: usize,
    atoms: usize,
    batch: usize,
    x: Vec<f64>,
    d: Vec<f64>,
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
        let (dim, atoms) = (draw.count(1..=20), draw.pick(&[1, 5, 33, 70, 260]));
        let batch = draw.count(1..=14);
        Self::of_size(&mut draw, dim, atoms, batch)
    }

    fn of_size(draw: &mut Draw, dim: usize, atoms: usize, batch: usize) -> Self {
        let layers = draw.count(1..=6);
        let level_shape = [draw.pick(&[1, layers]), draw.pick(&[1, batch]), draw.pick(&[1, atoms])];
        let scale = 1.0 / (dim as f64).sqrt();
        let high = draw.pick(&[0.0, 0.02, 0.05, 0.2, 100.0]);
        Self {
            dim,
            atoms,
            batch,
            x: draw.numbers(batch * dim, -1.0, 1.0),
            d: draw.numbers(dim * atoms, -scale, scale),
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
            target: draw.numbers(batch * dim, -1.0, 1.0),
            weights: draw.numbers(batch * atoms, -1.0, 1.0),
        }
    }

    fn encoder(&self) -> Encoder<'_, f64> {
        Encoder {
            banks: Banks::tied(&self.d),
            step: self.step,
            levels: &self.levels,
            level_shape: self.level_shape,
        }
    }

    fn synthesize(&self, z: &[f64]) -> Vec<f64> {
        let row = |k: usize| &self.d[k * self.atoms..][..self.atoms];
        (0..self.dim).map(|k| row(k).iter().zip(z).map(|(d, z)| d * z).sum()).collect()
    }

    fn naive(&self, constant: &Problem) -> (Vec<f64>, Vec<f64>) {
        let (mut codes, mut data) = (Vec::new(), Vec::new());
        for i in 0..self.batch {
            let zero = (vec![0.0; self.atoms], vec![0.0; self.atoms]);
            let first = self.unrolling.layers - self.unrolling.recorded;
            let run = |problem: &Problem, range, start| {
                let x = &problem.x[i * self.dim..][..self.dim];
                let gradient = |y: &[f64]| {
                    let r: Vec<f64> =
                        problem.synthesize(y).iter().zip(x).map(|(a, b)| a - b).collect();
                    (0..self.atoms)
                        .map(|j| (0..self.dim).map(|k| problem.d[k * self.atoms + j] * r[k]).sum())
                        .collect()
                };
                let n = self.atoms;
                unrolled((n, i), &problem.encoder(), &self.unrolling, range, start, gradient, |k| k)
            };
            let state = run(constant, 0..first, zero);
            let (z, _) = run(self, first..self.unrolling.layers, state);
            data.extend(self.synthesize(&z));
            codes.extend(z);
        }
        (codes, data)
    }

    fn loss(&self, constant: &Problem) -> f64 {
        let (code, data) = self.naive(constant);
        let fit: f64 = data.iter().zip(&self.target).map(|(a, b)| 0.5 * (a - b).powi(2)).sum();
        let direct: f64 = code.iter().zip(&self.weights).map(|(z, w)| z * w).sum();
        fit + if self.unrolling.recorded > 0 { direct } else { 0.0 }
    }
}

fn forward_is_naive<T: Real>(seed: u64, tolerance: f64) {
    let problem = Problem::draw(seed);
    let (code, data) = problem.naive(&problem);
    let (x, d, levels) = (cast::<T>(&problem.x), cast::<T>(&problem.d), cast(&problem.levels));
    let encoder = Encoder {
        banks: Banks::tied(&d),
        step: T::from_f64(problem.step),
        levels: &levels,
        level_shape: problem.level_shape,
    };
    for form in FORMS {
        let unrolling = problem.unrolling;
        let (output, _) = dense_forward_in(form, problem.dim, &x, encoder, unrolling, false);
        let what = format!("seed {seed}, {form:?}");
        assert!(distance(output.code(), &cast(&code)) < tolerance, "{what}: code");
        assert!(distance(output.reconstruction(), &cast(&data)) < tolerance, "{what}: data");
    }
}

#[test]
fn forward_equals_plain_loops() {
    for seed in seeds(0..60) {
        forward_is_naive::<f64>(seed, 1e-12);
    }
}

#[test]
fn forward_equals_plain_loops_in_single_precision() {
    for seed in seeds(0..60).filter(|s| Problem::draw(*s).unrolling.shrinkage != Shrinkage::Hard) {
        forward_is_naive::<f32>(seed, 1e-5);
    }
}

fn gradients_are_finite_differences(form: DenseForm) {
    for seed in seeds(100..180) {
        let problem = Problem::draw(seed);
        let Problem { dim, x, unrolling, .. } = &problem;
        let (output, tape) = dense_forward_in(form, *dim, x, problem.encoder(), *unrolling, true);
        let error: Vec<f64> =
            output.reconstruction().iter().zip(&problem.target).map(|(a, b)| a - b).collect();
        let wanted = Wanted { data: true, encoder: true };
        let gradients = tape.unwrap().backward(&error, Some(&problem.weights), wanted);
        let mut draw = Draw::new(seed);
        let mut check = |name: &str, given: &[f64], of: &dyn Fn(&mut Problem) -> &mut [f64]| {
            let loss = |k: usize, change: f64| {
                let mut moved = problem.clone();
                of(&mut moved)[k] += change;
                moved.loss(&problem)
            };
            let what = format!("seed {seed}, {form:?}, {name}, {unrolling:?}");
            assert_differences(&mut draw, given, loss, what);
        };
        check("atoms", &gradients.banks.synthesis, &|p| &mut p.d);
        check("data", gradients.data.as_ref().unwrap(), &|p| &mut p.x);
        check("step", &[gradients.step.unwrap()], &|p| std::slice::from_mut(&mut p.step));
        if problem.levels.iter().all(|level| *level > 1e-5) {
            check("levels", gradients.levels.as_ref().unwrap(), &|p| &mut p.levels);
        }
    }
}

#[test]
fn gradients_in_gram_form_equal_finite_differences() {
    gradients_are_finite_differences(DenseForm::Gram);
}

#[test]
fn gradients_in_residual_form_equal_finite_differences() {
    gradients_are_finite_differences(DenseForm::Residual);
}

#[test]
fn numbers_that_overflow_are_no_panic() {
    for seed in seeds(0..40) {
        let mut problem = Problem::draw(seed);
        problem.step = 1e200;
        problem.x[0] = [f64::INFINITY, f64::NAN, 1e300][seed as usize % 3];
        let Problem { dim, x, unrolling, .. } = &problem;
        for form in FORMS {
            let (output, tape) =
                dense_forward_in(form, *dim, x, problem.encoder(), *unrolling, true);
            let wanted = Wanted { data: true, encoder: true };
            tape.unwrap().backward(output.reconstruction(), Some(output.code()), wanted);
        }
    }
}

/// Everything that a pass with the gradients of its loss returns.
fn numbers(problem: &Problem, form: DenseForm) -> Vec<Vec<f64>> {
    let Problem { dim, x, unrolling, target, .. } = problem;
    let (output, tape) = dense_forward_in(form, *dim, x, problem.encoder(), *unrolling, true);
    let error: Vec<f64> = output.reconstruction().iter().zip(target).map(|(a, b)| a - b).collect();
    let wanted = Wanted { data: true, encoder: true };
    let gradients = tape.unwrap().backward(&error, Some(&problem.weights), wanted);
    let [data, levels] = [gradients.data, gradients.levels].map(Option::unwrap);
    vec![output.numbers, gradients.banks.synthesis, data, levels, vec![gradients.step.unwrap()]]
}

#[test]
fn many_data_in_both_forms_give_the_same_for_any_number_of_threads() {
    // More than one group of data, and more than one panel in both directions.
    let (dim, atoms, batch) = if cfg!(miri) { (9, 11, 13) } else { (70, 300, 70) };
    for seed in seeds(200..206) {
        let mut problem = Problem::of_size(&mut Draw::new(seed), dim, atoms, batch);
        // No code is within rounding of a jump.
        problem.unrolling.shrinkage = Shrinkage::Soft;
        let all = FORMS.map(|form| {
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| numbers(&problem, form))
            };
            let one = run(1);
            assert!(one == run(2) && one == run(3), "seed {seed}, {form:?}");
            one
        });
        for (k, (gram, residual)) in all[0].iter().zip(&all[1]).enumerate() {
            assert!(distance(residual, gram) < 1e-10, "seed {seed}, {k}: {:?}", problem.unrolling);
        }
    }
}
