//! What a code's error is made of: the dictionary's error, too few layers, and the bias of `λ`.

use std::fmt;

use burn::tensor::Tensor;
use pudle_core::{DenseConfig, GradientEstimator, Noise, PudleConfig};
use pudle_data::SparseCodingConfig;
use pudle_plot::{Axis, Chart, Line, Stroke};
use serde::{Deserialize, Serialize};

use crate::error::{Result, each_within, within};
use crate::experiment::{Experiment, Task};
use crate::problem::{Law, Problem, double, model, values};
use crate::results::{Measurements, Results, Row, Table, select};
use crate::statistics::{mean_sd, slope};

/// Settings of the experiment.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeError {
    /// Dimension m of a datum.
    #[arg(long, value_name = "M")]
    pub dim: usize,
    /// Number of atoms p.
    #[arg(long, value_name = "P")]
    pub atoms: usize,
    /// Number of non-zero entries s of a code.
    #[arg(long, value_name = "S")]
    pub sparsity: usize,
    /// Number of data n.
    #[arg(long, value_name = "N")]
    pub count: usize,
    /// Law of the amplitudes: uniform:LOW:HIGH, one-sign:LOW:HIGH (one sign per datum) or normal:MEAN:SD.
    #[arg(long, value_name = "LAW")]
    pub amplitude: Law,
    /// Step size α of a layer.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Perturbations SD of the dictionary, D = normalise(D* + SD · N(0, 1)), to measure.
    #[arg(long, value_name = "SD,…", value_delimiter = ',')]
    pub perturbation: Vec<f64>,
    /// Sparsity weights λ to measure, with the true dictionary.
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    pub lambda: Vec<f64>,
    /// Largest number of layers to measure, from 1 on, with the true dictionary.
    #[arg(long, value_name = "T")]
    pub layers: usize,
    /// λ while the dictionary is varied.
    #[arg(long, value_name = "L")]
    pub held_lambda: f64,
    /// λ while the number of layers is varied. Codes must converge within the layers, so it must not be too small.
    #[arg(long, value_name = "L")]
    pub layers_lambda: f64,
    /// Number of layers while it is not varied. The code must converge within them.
    #[arg(long, value_name = "T")]
    pub held_layers: usize,
    /// Number of seeds, counted up from --seed.
    #[arg(long, value_name = "N")]
    pub seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

/// The term that is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Dictionary,
    Layers,
    Lambda,
}

/// A term of the bound, varied alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    term: Term,
    seed: u64,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Term::Dictionary => "dictionary",
            Term::Layers => "layers",
            Term::Lambda => "lambda",
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-seed-{}", self.term, self.seed)
    }
}

impl CodeError {
    fn paper() -> Self {
        Self {
            dim: 50,
            atoms: 100,
            sparsity: 5,
            count: 1000,
            amplitude: Law::one_sign(1.0, 2.0),
            step: 0.2,
            perturbation: vec![3e-4, 1e-3, 3e-3, 1e-2, 2e-2, 3e-2, 5e-2],
            lambda: vec![1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.2, 0.3],
            layers: 400,
            held_lambda: 1e-3,
            layers_lambda: 0.1,
            held_layers: 30_000,
            seeds: 3,
            seed: 0,
        }
    }

    fn draws(&self, seed: u64) -> SparseCodingConfig {
        SparseCodingConfig {
            dim: self.dim,
            atoms: self.atoms,
            sparsity: self.sparsity,
            count: self.count,
            batch: self.count,
            amplitude: self.amplitude.0,
            noise_sd: 0.0,
            seed,
        }
    }

    fn config(&self, lambda: f64, layers: usize) -> PudleConfig {
        PudleConfig::dense(DenseConfig { dim: self.dim, atoms: self.atoms })
            .with_layers(layers)
            .with_lambda(lambda)
            .with_step(self.step)
            .with_gradient(GradientEstimator::DEC)
    }

    fn code(&self, d: &Tensor<2>, x: &Tensor<2>, lambda: f64, layers: usize) -> Result<Tensor<2>> {
        Ok(model(&self.config(lambda, layers), d)?.encode(x.clone(), &Noise::Unknown))
    }
}

/// Mean over the data of the largest error of an entry, `max_j |z_j − z*_j|`.
fn error(code: Tensor<2>, truth: &Tensor<2>) -> f64 {
    (code - truth.clone()).abs().max_dim(1).mean().into_scalar::<f64>()
}

impl Experiment for CodeError {
    const NAME: &'static str = "code-error";
    type Key = Key;

    fn presets() -> Vec<(&'static str, Self)> {
        let paper = Self::paper();
        let quick = Self { count: 200, held_layers: 10_000, seeds: 1, ..paper.clone() };
        vec![("paper", paper), ("quick", quick)]
    }

    fn check(&self) -> Result<()> {
        each_within("perturbation", &self.perturbation, f64::MIN_POSITIVE, 1e3)?;
        each_within("lambda", &self.lambda, f64::MIN_POSITIVE, 1e3)?;
        within("layers", self.layers, 10, 100_000)?;
        within("held_layers", self.held_layers, self.layers, 100_000)?;
        within("seeds", self.seeds, 1, 1000)?;
        self.draws(0).validate()?;
        self.config(self.held_lambda, self.held_layers).validate()?;
        self.config(self.layers_lambda, self.layers).validate()?;
        Ok(())
    }

    fn keys(&self) -> Vec<Key> {
        let seeds = self.seed..self.seed + self.seeds;
        let terms = [Term::Dictionary, Term::Layers, Term::Lambda];
        seeds.flat_map(|seed| terms.map(|term| Key { term, seed })).collect()
    }

    fn work(&self, key: &Key) -> u64 {
        let layers = match key.term {
            Term::Dictionary => self.perturbation.len() * self.held_layers,
            Term::Layers => self.held_layers + self.layers,
            Term::Lambda => self.lambda.len() * self.held_layers,
        };
        layers as u64
    }

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Measurements> {
        let problem = Problem::new(self.draws(key.seed), task.device)?;
        let (_, z) = problem.data(self.count);
        let (truth, z) = (double(problem.dictionary()), double(z));
        // In double precision throughout: data drawn in single precision would have an error of their own.
        let x = z.clone().matmul(truth.clone().transpose());
        let mut points = Vec::new();
        match key.term {
            Term::Dictionary => {
                for &sd in &self.perturbation {
                    let near = double(problem.near(sd, key.seed));
                    let off = (near.clone() - truth.clone()).square().sum_dim(0).sqrt();
                    let off = values(off);
                    let off = off.iter().sum::<f64>() / off.len() as f64;
                    let code = self.code(&near, &x, self.held_lambda, self.held_layers)?;
                    points.push([off, task.finite("code error", error(code, &z))?]);
                    task.progress.add(self.held_layers as u64);
                }
            }
            Term::Lambda => {
                for &lambda in &self.lambda {
                    let code = self.code(&truth, &x, lambda, self.held_layers)?;
                    points.push([lambda, task.finite("code error", error(code, &z))?]);
                    task.progress.add(self.held_layers as u64);
                }
            }
            Term::Layers => {
                let limit = self.code(&truth, &x, self.layers_lambda, self.held_layers)?;
                let model = model(&self.config(self.layers_lambda, self.layers), &truth)?;
                let mut unrolling = Vec::new();
                for (t, code) in (1..).zip(model.encode_layers(x.clone(), &Noise::Unknown)) {
                    points.push([f64::from(t), error(code.clone(), &z)]);
                    unrolling.push([f64::from(t), error(code, &limit)]);
                }
                let mut measured = Measurements::default();
                measured.curves.insert("unrolling".into(), unrolling);
                measured.curves.insert("error".into(), points);
                return Ok(measured);
            }
        }
        let mut measured = Measurements::default();
        measured.curves.insert("error".into(), points);
        Ok(measured)
    }

    fn statistics(&self, results: &Results<Key>) -> Vec<Row> {
        let exponents = |term: Term| -> Vec<f64> {
            let logs = |measured: &&Measurements| -> Vec<[f64; 2]> {
                measured.curve("error").iter().map(|p| [p[0].ln(), p[1].ln()]).collect()
            };
            of_term(results, term).iter().map(|measured| slope(&logs(measured))).collect()
        };
        let late = |measured: &&Measurements| -> f64 {
            let points = measured.curve("unrolling").iter();
            let points = points.filter(|p| p[0] >= 0.5 * self.layers as f64);
            slope(&points.map(|p| [p[0], p[1].ln()]).collect::<Vec<_>>()).exp()
        };
        let rates: Vec<f64> = of_term(results, Term::Layers).iter().map(late).collect();
        let seeds = self.seed..self.seed + self.seeds;
        let constants: Vec<f64> = seeds.map(|seed| self.constant(results, seed)).collect();
        let dictionary = exponents(Term::Dictionary);
        vec![
            Row::new("exponent of ‖D_j − D*_j‖ (bound: at least 0.5)", None, &dictionary),
            Row::new("exponent of λ (bound: 1)", None, &exponents(Term::Lambda)),
            Row::new("factor of e_t from layer to layer, late (bound: < 1)", None, &rates),
            Row::new("constant that the bound needs", None, &constants),
        ]
    }

    fn tables(&self, results: &Results<Key>) -> Vec<Table> {
        let mut table = Table::new("points", &["term", "seed", "x", "code_error"]);
        for (key, measured) in results {
            for point in measured.curve("error") {
                let [x, error] = point.map(|number| number.to_string());
                table.rows.push(vec![key.term.to_string(), key.seed.to_string(), x, error]);
            }
        }
        vec![table]
    }

    fn charts(&self, results: &Results<Key>) -> Vec<Chart> {
        let mean = |term: Term, name: &str| mean_curve(&of_term(results, term), name);
        let s = self.sparsity as f64;
        let dictionary = mean(Term::Dictionary, "error");
        let bound =
            dictionary.iter().map(|p| [p[0], (s * p[0]).sqrt() + self.held_lambda]).collect();
        let lambda = mean(Term::Lambda, "error");
        let bias = lambda.iter().map(|p| [p[0], p[0]]).collect();
        vec![
            chart(
                "dictionary",
                &format!("The dictionary's error in the code, λ = {}", self.held_lambda),
                Axis::log("mean ‖D_j − D*_j‖"),
                vec![
                    Line::new("code error", dictionary, 0),
                    Line::new("√(s ‖D_j − D*_j‖) + λ", bound, 6).with_stroke(Stroke::Dashed),
                ],
            ),
            chart(
                "layers",
                &format!("Too few layers, true dictionary, λ = {}", self.layers_lambda),
                Axis::linear("unrolled layers t"),
                vec![
                    Line::new("code error", mean(Term::Layers, "error"), 0),
                    Line::new("e_t, to the limit", mean(Term::Layers, "unrolling"), 1)
                        .with_stroke(Stroke::Dashed),
                ],
            ),
            chart(
                "lambda",
                "The bias of λ, true dictionary, converged codes",
                Axis::log("λ"),
                vec![
                    Line::new("code error", lambda, 0),
                    Line::new("λ", bias, 6).with_stroke(Stroke::Dashed),
                ],
            ),
        ]
    }
}

impl CodeError {
    /// The smallest constant in front of the bound with which all points of a seed lie below it.
    fn constant(&self, results: &Results<Key>, seed: u64) -> f64 {
        let s = self.sparsity as f64;
        let mut constant = 0.0f64;
        for (key, measured) in results.iter().filter(|(key, _)| key.seed == seed) {
            for (k, point) in measured.curve("error").iter().enumerate() {
                let bound = match key.term {
                    Term::Dictionary => (s * point[0]).sqrt() + self.held_lambda,
                    Term::Lambda => point[0],
                    Term::Layers => measured.curve("unrolling")[k][1] + self.layers_lambda,
                };
                constant = constant.max(point[1] / bound);
            }
        }
        constant
    }
}

/// The measurements in which this term is varied.
fn of_term(results: &Results<Key>, term: Term) -> Vec<&Measurements> {
    select(results, |key| key.term == term)
}

/// The mean of a curve over the seeds, in both axes.
fn mean_curve(measured: &[&Measurements], name: &str) -> Vec<[f64; 2]> {
    let Some(first) = measured.first() else { return Vec::new() };
    let point = |k: usize| {
        [0, 1].map(|axis| {
            mean_sd(&measured.iter().map(|m| m.curve(name)[k][axis]).collect::<Vec<_>>()).0
        })
    };
    (0..first.curve(name).len()).map(point).collect()
}

fn chart(name: &str, title: &str, x: Axis, lines: Vec<Line>) -> Chart {
    let y = Axis::log("mean over data of max |z_j − z*_j|");
    Chart { name: name.into(), title: title.into(), x, y, lines }
}
