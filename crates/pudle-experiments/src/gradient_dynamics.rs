//! How fast the gradients of the unrolled network reach the local direction, and how near they come to
//! the desired one.

use std::fmt;

use burn::module::Module;
use burn::tensor::Tensor;
use nalgebra::{DMatrix, SymmetricEigen};
use pudle_core::{DenseConfig, Dictionary, GradientEstimator, Noise, PudleConfig};
use pudle_data::SparseCodingConfig;
use pudle_plot::{Axis, Chart, Line, Stroke};
use serde::{Deserialize, Serialize};

use crate::error::{Result, within};
use crate::experiment::{Cell, Experiment, Report, Row, Table, Task, median, quantile, slope};
use crate::problem::{Dense, Law, Problem, double, model, norm, values};

/// Layers to the converged code, datum by datum.
const LIMIT: usize = 4000;
/// Where the error of ae-lasso, relative to where it started, drowns in rounding.
const ROUNDING: f64 = 1e-10;
/// Points that a slope is fitted to at least.
const FEWEST: usize = 10;

/// Settings of the experiment; that of figures 3 and 4 of the paper by default.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientDynamics {
    /// Dimension m of a datum.
    #[arg(long, value_name = "M")]
    pub dim: usize,
    /// Atoms p.
    #[arg(long, value_name = "P")]
    pub atoms: usize,
    /// Non-zeros s of a code.
    #[arg(long, value_name = "S")]
    pub sparsity: usize,
    /// Data n of the batch.
    #[arg(long, value_name = "N")]
    pub count: usize,
    /// Law of the amplitudes: uniform:LOW:HIGH, one-sign:LOW:HIGH (one sign per datum) or normal:MEAN:SD.
    #[arg(long, value_name = "LAW")]
    pub amplitude: Law,
    /// Sparsity weight λ.
    #[arg(long, value_name = "L")]
    pub lambda: f64,
    /// Step size α.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Perturbation of the dictionary: D = normalise(D* + SD · N(0, 1)).
    #[arg(long, value_name = "SD")]
    pub perturbation: f64,
    /// Unrolled layers up to which gradients are compared.
    #[arg(long, value_name = "T")]
    pub layers: usize,
    /// Unrolled layers to the code that counts as converged.
    #[arg(long, value_name = "T")]
    pub limit: usize,
    /// Layers that the truncated gradient goes back through.
    #[arg(long, value_name = "K")]
    pub truncation: usize,
    /// Data that are looked at one by one, in double precision.
    #[arg(long, value_name = "N")]
    pub data: usize,
    /// Seeds, counted up from --seed.
    #[arg(long, value_name = "N")]
    pub seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

/// A batch's gradients, or those of single data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Mean gradients over a batch.
    Batch {
        /// Seed of data and dictionary.
        seed: u64,
    },
    /// Gradients datum by datum.
    Data {
        /// Seed of data and dictionary.
        seed: u64,
    },
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Batch { seed } => write!(f, "seed-{seed}-batch"),
            Key::Data { seed } => write!(f, "seed-{seed}-data"),
        }
    }
}

/// Published figures at t = 1, 50 and 100.
const PUBLISHED: [(&str, [f64; 3]); 7] = [
    ("code", [2.369, 0.0766, 0.0034]),
    ("dec", [0.186, 0.0082, 3.7e-4]),
    ("ae-lasso", [0.323, 0.0034, 7.5e-5]),
    ("ae-ls", [0.495, 0.112, 0.119]),
    ("dec, true code", [0.320, 0.167, 0.161]),
    ("ae-lasso, true code", [0.468, 0.163, 0.161]),
    ("ae-ls, true code", [0.639, 0.080, 0.072]),
];

impl GradientDynamics {
    fn paper() -> Self {
        Self {
            dim: 50,
            atoms: 100,
            sparsity: 5,
            count: 10_000,
            amplitude: Law::one_sign(1.0, 2.0),
            lambda: 0.2,
            step: 0.2,
            perturbation: 0.02,
            layers: 100,
            limit: 1000,
            truncation: 10,
            data: 100,
            seeds: 5,
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

    fn problem(&self, seed: u64, task: &Task<'_>) -> Result<(Problem, Tensor<2>)> {
        let problem = Problem::new(self.draws(seed), task.device)?;
        let near = problem.near(self.perturbation, seed);
        Ok((problem, near))
    }

    fn config(&self, layers: usize, gradient: GradientEstimator) -> PudleConfig {
        PudleConfig::dense(DenseConfig { dim: self.dim, atoms: self.atoms })
            .with_layers(layers)
            .with_lambda(self.lambda)
            .with_step(self.step)
            .with_gradient(gradient)
    }

    fn gradients(&self, layers: usize) -> [GradientEstimator; 5] {
        [
            GradientEstimator::DEC,
            GradientEstimator::AE_LASSO,
            GradientEstimator::AE_LS,
            GradientEstimator::truncated(self.truncation.min(layers)),
            GradientEstimator::IMPLICIT,
        ]
    }

    fn names(&self) -> [String; 5] {
        self.gradients(usize::MAX).map(|gradient| gradient.to_string())
    }

    /// Every layer at first, then every fifth.
    fn grid(&self) -> Vec<usize> {
        (1..=self.layers).filter(|t| *t <= 20 || t % 5 == 0 || *t == self.layers).collect()
    }

    /// Whether the published figures are of these settings, more or fewer data and seeds aside.
    fn is_published(&self) -> bool {
        let &Self { count, data, seeds, seed, limit, truncation, .. } = self;
        *self == Self { count, data, seeds, seed, limit, truncation, ..Self::paper() }
    }

    fn batch(&self, seed: u64, task: &Task<'_>) -> Result<Cell> {
        let (problem, near) = self.problem(seed, task)?;
        let (x, z) = problem.data(self.count);
        let limit = model(&self.config(self.limit, GradientEstimator::DEC), &near)?;
        let converged = limit.encode(x.clone(), &Noise::Unknown);
        let local = direct(&near, &x, &converged);
        let global = direct(&near, &x, &z);
        let mut cell = Cell::default();
        let mut keep = |name: &str, t: usize, value: f64| -> Result<()> {
            let value = task.finite(name, value)?;
            cell.curves.entry(name.into()).or_default().push([t as f64, value]);
            Ok(())
        };
        for t in self.grid() {
            for (gradient, name) in self.gradients(t).into_iter().zip(self.names()) {
                let model = model(&self.config(t, gradient), &near)?;
                let (gradient, code) = gradient_of(model, &x);
                if name == "dec" {
                    let off = (code - converged.clone()).square().sum_dim(1).sqrt().mean();
                    keep("code", t, off.into_scalar::<f64>())?;
                }
                keep(&name, t, norm(gradient.clone() - local.clone()))?;
                keep(&format!("{name}, true code"), t, norm(gradient - global.clone()))?;
                task.progress.add(t as u64 * self.count as u64 / 1000);
            }
        }
        let tail = |name: &str| {
            let points = cell.curve(name).iter().filter(|p| p[0] >= 0.2 * self.layers as f64);
            slope(&points.map(|p| [p[0], p[1].ln()]).collect::<Vec<_>>())
        };
        let slopes: Vec<(String, f64)> =
            ["dec", "ae-lasso"].map(|name| (format!("slope of {name}"), tail(name))).into();
        cell.values.extend(slopes);
        Ok(cell)
    }

    fn single(&self, seed: u64, task: &Task<'_>) -> Result<Cell> {
        let (problem, near) = self.problem(seed, task)?;
        let (x, _) = problem.data(self.data);
        let (near, x) = (double(near), double(x));
        let mut cell = Cell::default();
        for i in 0..self.data {
            let rates = self.rates(&near, x.clone().slice([i..i + 1, 0..self.dim]))?;
            if let Some(rates) = rates {
                for (name, value) in [
                    ("rho", rates.rho),
                    ("settled", rates.settled as f64),
                    ("slope of dec", rates.slopes[0]),
                    ("slope of ae-lasso", rates.slopes[1]),
                ] {
                    cell.curves.entry(name.into()).or_default().push([i as f64, value]);
                }
                for (name, points) in ["dec", "ae-lasso"].iter().zip(rates.curves) {
                    cell.curves.insert(format!("datum {i}, {name}"), points);
                }
            }
            task.progress.add(1);
        }
        Ok(cell)
    }

    /// How fast the gradients of one datum converge once its support has settled; `None` where it does not
    /// settle, or not long before rounding ends the descent.
    fn rates(&self, near: &Tensor<2>, x: Tensor<2>) -> Result<Option<Rates>> {
        let limit = model(&self.config(LIMIT, GradientEstimator::DEC), near)?;
        let converged = limit.encode(x.clone(), &Noise::Unknown);
        let support = signs(&converged);
        let local = direct(near, &x, &converged);
        let most = 4 * self.layers;
        let codes = model(&self.config(most, GradientEstimator::DEC), near)?
            .encode_layers(x.clone(), &Noise::Unknown);
        let moving = codes.iter().rposition(|code| signs(code) != support);
        let settled = moving.map_or(1, |t| t + 2);

        let sets: Vec<usize> = (0..self.atoms).filter(|j| support[*j] != 0).collect();
        let d = DMatrix::from_row_slice(self.dim, self.atoms, &values(near.clone()));
        let on_support = d.select_columns(&sets);
        let gram = SymmetricEigen::new(on_support.transpose() * on_support);
        let smallest = gram.eigenvalues.iter().copied().fold(f64::INFINITY, f64::min);
        let rho = 1.0 - self.step * smallest;

        let mut curves = [vec![], vec![]];
        for t in (1..=most).filter(|t| *t <= 20 || t % 2 == 0) {
            let mut errors = [0.0; 2];
            let gradients = [GradientEstimator::DEC, GradientEstimator::AE_LASSO];
            for (error, gradient) in errors.iter_mut().zip(gradients) {
                let model = model(&self.config(t, gradient), near)?;
                *error = norm(gradient_of(model, &x).0 - local.clone());
            }
            for (curve, error) in curves.iter_mut().zip(errors) {
                curve.push([t as f64, error]);
            }
            if errors[1] < ROUNDING * curves[1][0][1] {
                break;
            }
        }
        // The slowest of the modes is alone in the later half of what lies between the support's settling and
        // rounding.
        let end = curves[0].last().map_or(0.0, |p| p[0]);
        let start = (settled as f64 + end) / 2.0;
        let fitted = |curve: &[[f64; 2]]| -> Vec<[f64; 2]> {
            curve
                .iter()
                .filter(|p| p[0] >= start && p[1] > 0.0)
                .map(|p| [p[0], p[1].ln()])
                .collect()
        };
        let points = [fitted(&curves[0]), fitted(&curves[1])];
        if points.iter().any(|points| points.len() < FEWEST) || sets.is_empty() {
            return Ok(None);
        }
        Ok(Some(Rates { rho, settled, slopes: points.map(|points| slope(&points)), curves }))
    }
}

/// How the gradients of one datum converge.
struct Rates {
    /// `1 − α λ_min(D_Sᵀ D_S)` on the support `S`.
    rho: f64,
    /// The first layer from which on the support stays.
    settled: usize,
    /// Of the logarithms of the errors of dec and ae-lasso, per layer.
    slopes: [f64; 2],
    /// The errors.
    curves: [Vec<[f64; 2]>; 2],
}

fn signs(code: &Tensor<2>) -> Vec<i8> {
    values(code.clone()).iter().map(|z| (*z > 0.0) as i8 - (*z < 0.0) as i8).collect()
}

/// `(D z − x) zᵀ`, mean over the data, `[m, p]`.
fn direct(d: &Tensor<2>, x: &Tensor<2>, z: &Tensor<2>) -> Tensor<2> {
    let count = x.dims()[0] as f64;
    let residual = z.clone().matmul(d.clone().transpose()) - x.clone();
    residual.transpose().matmul(z.clone()) / count
}

/// The model's gradient in its atoms, `[m, p]`, mean over the data, and the code.
pub(crate) fn gradient_of(model: Dense, x: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let model = model.train();
    let x = x.clone().autodiff();
    let objective = model.objective(x.clone(), x, &Noise::Unknown);
    let grads = objective.loss.backward();
    let gradient = model.dictionary().atoms().grad(&grads).expect("atoms are trained");
    (gradient, objective.code.inner())
}

impl Experiment for GradientDynamics {
    const NAME: &'static str = "gradient-dynamics";
    type Key = Key;

    fn presets() -> Vec<(&'static str, Self)> {
        let paper = Self::paper();
        let quick = Self { count: 1000, data: 20, seeds: 2, ..paper.clone() };
        vec![("paper", paper), ("quick", quick)]
    }

    fn check(&self) -> Result<()> {
        within("layers", self.layers, 5, 1000)?;
        within("limit", self.limit, self.layers, 100_000)?;
        within("truncation", self.truncation, 1, self.layers)?;
        within("data", self.data, 1, self.count)?;
        within("perturbation", self.perturbation, 0.0, 1e3)?;
        within("seeds", self.seeds, 1, 1000)?;
        self.draws(0).validate()?;
        self.config(self.layers, GradientEstimator::DEC).validate()?;
        Ok(())
    }

    fn keys(&self) -> Vec<Key> {
        let seeds = self.seed..self.seed + self.seeds;
        seeds.flat_map(|seed| [Key::Batch { seed }, Key::Data { seed }]).collect()
    }

    fn work(&self, key: &Key) -> u64 {
        match key {
            Key::Batch { .. } => {
                let layers: usize = self.grid().iter().sum();
                (5 * layers * self.count / 1000) as u64
            }
            // About as long as so many thousand layers of a datum in a batch.
            Key::Data { .. } => (self.data * 150) as u64,
        }
    }

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Cell> {
        match *key {
            Key::Batch { seed } => self.batch(seed, task),
            Key::Data { seed } => self.single(seed, task),
        }
    }

    fn report(&self, cells: &[(Key, Cell)]) -> Report {
        let of = |batch: bool| -> Vec<&Cell> {
            let wanted = |key: &Key| matches!(key, Key::Batch { .. }) == batch;
            cells.iter().filter(|(key, _)| wanted(key)).map(|(_, cell)| cell).collect()
        };
        let (batches, data) = (of(true), of(false));
        let published = self.is_published();
        let names = self.names();
        let mut rows = Vec::new();
        let mut show = |name: &str, what: String| {
            for (k, t) in [1, 50, 100].into_iter().enumerate().filter(|(_, t)| *t <= self.layers) {
                let figure = PUBLISHED.iter().find(|(known, _)| *known == name && published);
                let ours: Vec<f64> = batches.iter().map(|cell| cell.at(name, t as f64)).collect();
                rows.push(Row::new(format!("{what}, t = {t}"), figure.map(|f| f.1[k]), &ours));
            }
        };
        show("code", "‖z_t − ẑ‖".into());
        for name in &names {
            show(name, format!("‖g − ĝ‖, {name}"));
        }
        for name in &names {
            show(&format!("{name}, true code"), format!("‖g − g at z*‖, {name}"));
        }
        for name in ["dec", "ae-lasso"] {
            let slopes: Vec<f64> =
                batches.iter().map(|cell| cell.value(&format!("slope of {name}"))).collect();
            rows.push(Row::new(format!("slope of log ‖g − ĝ‖, {name}, batch"), None, &slopes));
        }

        // Datum by datum, all seeds together for the medians of each.
        let mut table = Table::new(
            "data",
            &[
                "seed",
                "datum",
                "rho",
                "settled",
                "slope_dec",
                "slope_ae_lasso",
                "dec_over_log_rho",
                "ratio",
            ],
        );
        let (mut near_rho, mut ratios, mut settled) = (vec![], vec![], vec![]);
        for (seed, cell) in (self.seed..).zip(&data) {
            let of = |name: &str| cell.curve(name).iter().map(|p| p[1]).collect::<Vec<f64>>();
            let (rho, dec, lasso) = (of("rho"), of("slope of dec"), of("slope of ae-lasso"));
            let by_rho: Vec<f64> = dec.iter().zip(&rho).map(|(s, rho)| s / rho.ln()).collect();
            let ratio: Vec<f64> = lasso.iter().zip(&dec).map(|(l, d)| l / d).collect();
            for (k, point) in cell.curve("rho").iter().enumerate() {
                let numbers = [rho[k], of("settled")[k], dec[k], lasso[k], by_rho[k], ratio[k]];
                let mut row = vec![seed.to_string(), point[0].to_string()];
                row.extend(numbers.map(|number| number.to_string()));
                table.rows.push(row);
            }
            near_rho.push(median(&by_rho));
            ratios.push([0.25, 0.5, 0.75].map(|q| quantile(&ratio, q)));
            settled.push(rho.len() as f64 / self.data as f64);
        }
        rows.push(Row::new("data whose support settles in time, share", None, &settled));
        rows.push(Row::new("slope of dec / log ρ, median over data (theory: 1)", None, &near_rho));
        for (k, what) in ["lower quartile", "median", "upper quartile"].iter().enumerate() {
            let ratios: Vec<f64> = ratios.iter().map(|r| r[k]).collect();
            let name = format!("slope of ae-lasso / slope of dec, {what} (theory: 2)");
            rows.push(Row::new(name, None, &ratios));
        }

        let mut curves = Table::new("curves", &["t", "curve", "mean", "sd"]);
        let mean = |name: &str, curves: &mut Table| -> Vec<[f64; 2]> {
            let grid = self.grid().into_iter();
            grid.map(|t| {
                let at: Vec<f64> = batches.iter().map(|cell| cell.at(name, t as f64)).collect();
                let row = Row::new("", None, &at);
                let sd = row.ours_sd.map_or(String::new(), |sd| sd.to_string());
                curves.rows.push(vec![t.to_string(), name.into(), row.ours_mean.to_string(), sd]);
                [t as f64, row.ours_mean]
            })
            .collect()
        };
        let chart = |name: &str, title: &str, y: &str, lines| Chart {
            name: name.into(),
            title: title.into(),
            x: Axis::linear("unrolled layers t"),
            y: Axis::log(y),
            lines,
        };
        let strokes = [Stroke::Solid, Stroke::Solid, Stroke::Solid, Stroke::Dashed, Stroke::Dotted];
        let mut all = |suffix: &str| -> Vec<Line> {
            let lines = names.iter().zip(strokes).enumerate();
            lines
                .map(|(k, (name, stroke))| {
                    let points = mean(&format!("{name}{suffix}"), &mut curves);
                    Line::new(name.clone(), points, k).with_stroke(stroke)
                })
                .collect()
        };
        let (local, global) = (all(""), all(", true code"));
        let code = vec![Line::new("‖z_t − ẑ‖", mean("code", &mut curves), 0)];
        let mut charts = vec![
            chart("code", "Codes converge to the lasso's solution", "mean ‖z_t − ẑ‖", code),
            chart("local", "Distance to the local direction ĝ", "‖g_t − ĝ‖", local),
            chart("global", "Distance to the gradient at the true code", "‖g_t − g*‖", global),
        ];
        if let Some(lines) = data.first().and_then(|cell| one_datum(cell)) {
            charts.push(chart(
                "rates",
                "One datum, and the rates that theory gives it",
                "‖g_t − ĝ‖",
                lines,
            ));
        }
        Report { rows, tables: vec![curves, table], charts }
    }
}

/// The errors of the datum with the median `ρ`, beside `ρᵗ` and `t ρ²ᵗ` through their last points, from where
/// the support stays.
fn one_datum(cell: &Cell) -> Option<Vec<Line>> {
    let mut rho = cell.curve("rho").to_vec();
    rho.sort_by(|a, b| a[1].total_cmp(&b[1]));
    let [datum, rho] = *rho.get(rho.len() / 2)?;
    let settled = cell.at("settled", datum);
    let curves = ["dec", "ae-lasso"].map(|name| cell.curve(&format!("datum {datum}, {name}")));
    let bound = |curve: &[[f64; 2]], shape: &dyn Fn(f64) -> f64| -> Vec<[f64; 2]> {
        let last = curve.last().copied().unwrap_or([1.0, 1.0]);
        let stays = curve.iter().filter(|p| p[0] >= settled);
        stays.map(|p| [p[0], last[1] * (shape(p[0]) - shape(last[0])).exp()]).collect()
    };
    let slow = bound(curves[0], &|t| t * rho.ln());
    let fast = bound(curves[1], &|t| t.ln() + 2.0 * t * rho.ln());
    Some(vec![
        Line::new("dec", curves[0].to_vec(), 0),
        Line::new("ae-lasso", curves[1].to_vec(), 1),
        Line::new(format!("ρᵗ, ρ = {rho:.3}"), slow, 6).with_stroke(Stroke::Dashed),
        Line::new("t ρ²ᵗ", fast, 6).with_stroke(Stroke::Dotted),
    ])
}
