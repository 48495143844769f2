//! What the bias of `λ` costs and how it goes away, beside NOODL.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use burn::tensor::Device;
use pudle_core::{DenseConfig, GradientEstimator, Proximal, PudleConfig, ThresholdConfig};
use pudle_data::SparseCodingConfig;
use pudle_plot::{Axis, Chart, Line, Stroke};
use pudle_train::Update;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ExperimentError, Result, each_within, within};
use crate::experiment::{Cell, Experiment, Report, Row, Table, Task};
use crate::folder;
use crate::learning::{Change, Plan, learn};
use crate::problem::{Law, Problem, model, norm};

/// Errors that the time to reach is told of.
const REACHED: [f64; 4] = [1e-1, 1e-2, 1e-3, 1e-4];

/// Settings of the experiment; lists are run through in all combinations.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baselines {
    /// Dimension m of a datum.
    #[arg(long, value_name = "M")]
    pub dim: usize,
    /// Atoms p.
    #[arg(long, value_name = "P")]
    pub atoms: usize,
    /// Numbers of non-zeros s of a code.
    #[arg(long, value_name = "S,…", value_delimiter = ',')]
    pub sparsity: Vec<usize>,
    /// Data n.
    #[arg(long, value_name = "N")]
    pub count: usize,
    /// Law of the amplitudes: uniform:LOW:HIGH, one-sign:LOW:HIGH (one sign per datum) or normal:MEAN:SD.
    #[arg(long, value_name = "LAW")]
    pub amplitude: Law,
    /// Methods: ae-ls (constant λ), decaying (λ falls over the layers), hard (hard threshold), noodl.
    #[arg(long, value_name = "M,…", value_delimiter = ',')]
    pub methods: Vec<Method>,
    /// Sparsity weight λ.
    #[arg(long, value_name = "L")]
    pub lambda: f64,
    /// How much less the decay β of λ from layer to layer is after every --decay-every steps; 1 at first.
    #[arg(long, value_name = "D")]
    pub decay: f64,
    /// Steps from one decay β to the next.
    #[arg(long, value_name = "N")]
    pub decay_every: u64,
    /// Level of the hard thresholds.
    #[arg(long, value_name = "L")]
    pub hard_level: f64,
    /// Step size α of a layer.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Unrolled layers T.
    #[arg(long, value_name = "T")]
    pub layers: usize,
    /// Perturbation of the start: D₀ = normalise(D* + SD · N(0, 1)).
    #[arg(long, value_name = "SD")]
    pub perturbation: f64,
    /// Data of a training step.
    #[arg(long, value_name = "B")]
    pub batch: usize,
    /// Learning rate of Adam.
    #[arg(long, value_name = "R")]
    pub learning_rate: f64,
    /// ε of Adam.
    #[arg(long, value_name = "E")]
    pub epsilon: f64,
    /// Rate η of NOODL.
    #[arg(long, value_name = "R")]
    pub noodl_rate: f64,
    /// Training steps.
    #[arg(long, value_name = "N")]
    pub steps: u64,
    /// Seeds, counted up from --seed.
    #[arg(long, value_name = "N")]
    pub seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

/// How a dictionary is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// ae-ls with the same λ in every layer and step.
    Constant,
    /// ae-ls with `λ_t = λ βᵗ` over the layers, `β` falling during training.
    Decaying,
    /// ae-ls with a hard threshold.
    Hard,
    /// NOODL: a hard threshold, and the sign of the code in the update.
    Noodl,
}

impl Method {
    const ALL: [Self; 4] = [Self::Constant, Self::Decaying, Self::Hard, Self::Noodl];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Constant => "ae-ls",
            Method::Decaying => "decaying",
            Method::Hard => "hard",
            Method::Noodl => "noodl",
        })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|method| method.to_string() == text)
            .ok_or_else(|| format!("\"{text}\" is none of ae-ls, decaying, hard and noodl"))
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    sparsity: usize,
    method: Method,
    seed: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s-{}-{}-seed-{}", self.sparsity, self.method, self.seed)
    }
}

/// Published final relative errors by sparsity, in the order of [`Method::ALL`].
const PUBLISHED: [(usize, [f64; 4]); 3] = [
    (10, [8.7e-3, 5.2e-6, 2.9e-6, 3.9e-3]),
    (20, [1.4e-2, 5.7e-6, 4.8e-7, 1.7e-4]),
    (40, [2.6e-2, 4.0e-5, 9.8e-6, 2.3e-6]),
];

impl Baselines {
    fn paper() -> Self {
        Self {
            dim: 1000,
            atoms: 1500,
            sparsity: vec![10, 20, 40],
            count: 50_000,
            amplitude: Law::uniform(1.0, 2.0),
            methods: Method::ALL.to_vec(),
            lambda: 0.2,
            decay: 0.005,
            decay_every: 100,
            hard_level: 0.1,
            step: 0.2,
            layers: 100,
            perturbation: 0.005,
            batch: 50,
            learning_rate: 1e-3,
            epsilon: 1e-3,
            noodl_rate: 0.4,
            steps: 1000,
            seeds: 1,
            seed: 0,
        }
    }

    fn published(&self, key: &Key) -> Option<f64> {
        let (sparsity, methods) = (self.sparsity.clone(), self.methods.clone());
        let Self { seeds, seed, .. } = *self;
        let same = *self == Self { sparsity, methods, seeds, seed, ..Self::paper() };
        let (_, figures) = PUBLISHED.iter().find(|(s, _)| *s == key.sparsity && same)?;
        Some(figures[Method::ALL.iter().position(|method| *method == key.method)?])
    }

    /// The decay of λ over the layers from step `step` on.
    fn beta(&self, step: u64) -> f64 {
        1.0 - self.decay * (step / self.decay_every) as f64
    }

    fn draws(&self, sparsity: usize, seed: u64) -> SparseCodingConfig {
        SparseCodingConfig {
            dim: self.dim,
            atoms: self.atoms,
            sparsity,
            count: self.count,
            batch: self.batch,
            amplitude: self.amplitude.0,
            noise_sd: 0.0,
            seed,
        }
    }

    fn config(&self, method: Method, step: u64) -> PudleConfig {
        let config = PudleConfig::dense(DenseConfig { dim: self.dim, atoms: self.atoms })
            .with_layers(self.layers)
            .with_step(self.step)
            .with_lambda(self.lambda)
            .with_gradient(GradientEstimator::AE_LS);
        match method {
            Method::Constant => config,
            Method::Decaying => {
                config.with_threshold(ThresholdConfig::decaying(self.lambda, self.beta(step)))
            }
            Method::Hard | Method::Noodl => {
                config.with_prox(Proximal::Hard).with_lambda(self.hard_level)
            }
        }
    }

    /// When β falls during a training.
    fn changes(&self, method: Method) -> Vec<Change> {
        if method != Method::Decaying || self.decay == 0.0 {
            return Vec::new();
        }
        let steps = (self.decay_every..self.steps).step_by(self.decay_every as usize);
        steps.map(|step| Change { step, model: self.config(method, step) }).collect()
    }

    fn problem(&self, sparsity: usize, seed: u64, device: &Device) -> Result<Problem> {
        Problem::new(self.draws(sparsity, seed), device)
    }

    /// Writes what the first seed learns from, for programs to compare with: a safetensors file per
    /// sparsity, `data-sS.safetensors`, with the data in the order in which they are seen (`x`, `[n, m]`),
    /// the true dictionary (`truth`, `[m, p]`) and the start (`start`).
    ///
    /// # Errors
    /// Where settings are out of range, or a file cannot be written.
    pub fn save_data(&self, dir: &Path, device: &Device) -> Result<Vec<std::path::PathBuf>> {
        self.check()?;
        std::fs::create_dir_all(dir).map_err(ExperimentError::io(dir))?;
        let mut paths = Vec::new();
        for &sparsity in &self.sparsity {
            let problem = self.problem(sparsity, self.seed, device)?;
            let mut x: Vec<f32> = Vec::new();
            for step in 0..self.steps {
                x.extend(problem.batch(step)?.input);
            }
            let matrix = |d: burn::tensor::Tensor<2>| d.into_data().iter::<f32>().collect();
            let truth: Vec<f32> = matrix(problem.dictionary());
            let start: Vec<f32> = matrix(problem.near(self.perturbation, self.seed));
            let shapes = [
                ("x", &x, vec![x.len() / self.dim, self.dim]),
                ("truth", &truth, vec![self.dim, self.atoms]),
                ("start", &start, vec![self.dim, self.atoms]),
            ];
            let path = dir.join(format!("data-s{sparsity}.safetensors"));
            let bytes: Vec<(&str, Vec<u8>, Vec<usize>)> = shapes
                .into_iter()
                .map(|(name, values, shape)| {
                    (name, values.iter().flat_map(|v| v.to_le_bytes()).collect(), shape)
                })
                .collect();
            let views = bytes.iter().map(|(name, bytes, shape)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
                (*name, view.expect("as many bytes as the shape says"))
            });
            let file = safetensors::serialize(views, None)
                .map_err(|error| ExperimentError::io(&path)(std::io::Error::other(error)))?;
            folder::write(&path, &file)?;
            paths.push(path);
        }
        Ok(paths)
    }

    fn step_work(&self, method: Method) -> u64 {
        // Hundredths of a forward pass.
        let passes = if method == Method::Noodl { 3 } else { 10 };
        passes * (self.layers * self.batch).div_ceil(100) as u64
    }
}

impl Experiment for Baselines {
    const NAME: &'static str = "baselines";
    type Key = Key;

    fn presets() -> Vec<(&'static str, Self)> {
        let paper = Self::paper();
        let quick = Self {
            dim: 200,
            atoms: 300,
            sparsity: vec![5],
            amplitude: Law::uniform(1.0, 2.0),
            perturbation: 0.01,
            count: 25_000,
            ..paper.clone()
        };
        vec![("paper", paper), ("quick", quick)]
    }

    fn check(&self) -> Result<()> {
        each_within("sparsity", &self.sparsity, 1, self.atoms)?;
        within("methods", self.methods.len(), 1, 100)?;
        within("decay_every", self.decay_every, 1, u64::MAX)?;
        within("decay", self.decay, 0.0, 1.0)?;
        within("steps", self.steps, 1, 10_000_000)?;
        let last = self.beta(self.steps.saturating_sub(1));
        if last <= 0.0 {
            let range = "so small that β stays above 0 in all steps";
            return Err(ExperimentError::range("decay", self.decay, range));
        }
        within("batch", self.batch, 1, self.count)?;
        within("learning_rate", self.learning_rate, f64::MIN_POSITIVE, 1e3)?;
        within("noodl_rate", self.noodl_rate, f64::MIN_POSITIVE, 1e3)?;
        within("epsilon", self.epsilon, f64::MIN_POSITIVE, 1e3)?;
        within("perturbation", self.perturbation, 0.0, 1e3)?;
        within("seeds", self.seeds, 1, 1000)?;
        self.sparsity.iter().try_for_each(|&s| self.draws(s, 0).validate())?;
        self.methods.iter().try_for_each(|method| Ok(self.config(*method, 0).validate()?))
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for seed in self.seed..self.seed + self.seeds {
            for &sparsity in &self.sparsity {
                keys.extend(self.methods.iter().map(|&method| Key { sparsity, method, seed }));
            }
        }
        keys
    }

    fn work(&self, key: &Key) -> u64 {
        self.steps * self.step_work(key.method)
    }

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Cell> {
        let problem = self.problem(key.sparsity, key.seed, task.device)?;
        let truth = problem.dictionary();
        let size = norm(truth.clone());
        let start = model(&self.config(key.method, 0), &problem.near(self.perturbation, key.seed))?;
        let plan = Plan {
            problem: &problem,
            steps: self.steps,
            update: match key.method {
                Method::Noodl => Update::noodl(self.noodl_rate),
                _ => Update::adam(self.learning_rate).with_epsilon(self.epsilon as f32),
            },
            every: 10,
            changes: self.changes(key.method),
            measure: &|atoms| vec![("error", norm(atoms - truth.clone()) / size)],
            work: self.step_work(key.method),
        };
        let (_, mut cell) = learn(start, &plan, task)?;
        let last = cell.curve("error").last().map_or(f64::NAN, |p| p[1]);
        cell.values.insert("error".into(), last);
        for error in REACHED {
            let reached = cell.curve("error").iter().find(|p| p[1] <= error).map(|p| p[0]);
            if let Some(step) = reached {
                cell.values.insert(format!("seconds to {error:e}"), cell.at("seconds", step));
            }
        }
        Ok(cell)
    }

    fn report(&self, cells: &[(Key, Cell)]) -> Report {
        let mut rows = Vec::new();
        let mut times = Vec::new();
        let mut table = Table::new("curves", &["s", "method", "seed", "step", "seconds", "error"]);
        for (key, cell) in cells {
            for (point, time) in cell.curve("error").iter().zip(cell.curve("seconds")) {
                table.rows.push(vec![
                    key.sparsity.to_string(),
                    key.method.to_string(),
                    key.seed.to_string(),
                    point[0].to_string(),
                    time[1].to_string(),
                    point[1].to_string(),
                ]);
            }
        }
        let mut charts = Vec::new();
        for &sparsity in &self.sparsity {
            let (mut steps, mut seconds) = (Vec::new(), Vec::new());
            for (k, &method) in self.methods.iter().enumerate() {
                let same = |key: &Key| key.sparsity == sparsity && key.method == method;
                let of: Vec<&(Key, Cell)> = cells.iter().filter(|(key, _)| same(key)).collect();
                let Some((key, cell)) = of.first() else { continue };
                let figure = |name: &str| -> Vec<f64> {
                    of.iter().map(|(_, cell)| cell.value(name)).collect()
                };
                let name = format!("s = {sparsity}, {method}");
                rows.push(Row::new(
                    format!("{name}: error"),
                    self.published(key),
                    &figure("error"),
                ));
                for error in REACHED {
                    let ours = figure(&format!("seconds to {error:e}"));
                    if ours.iter().all(|seconds| seconds.is_finite()) {
                        times.push(Row::new(format!("{name}: seconds to {error:e}"), None, &ours));
                    }
                }
                let stroke = [Stroke::Solid, Stroke::Dashed, Stroke::Dotted, Stroke::Solid][k % 4];
                let line = |points| Line::new(method.to_string(), points, k).with_stroke(stroke);
                let error = cell.curve("error");
                steps.push(line(error.to_vec()));
                let time = cell.curve("seconds").iter().zip(error).map(|(t, e)| [t[1], e[1]]);
                seconds.push(line(time.collect()));
            }
            for (name, x, lines) in
                [("steps", "training step", steps), ("seconds", "seconds of learning", seconds)]
            {
                charts.push(Chart {
                    name: format!("{name}-s{sparsity}"),
                    title: format!(
                        "Relative error of the dictionary, s = {sparsity}, seed {}",
                        self.seed
                    ),
                    x: Axis::linear(x),
                    y: Axis::log("‖D − D*‖ / ‖D*‖"),
                    lines,
                });
            }
        }
        rows.extend(times);
        Report { rows, tables: vec![table], charts }
    }
}
