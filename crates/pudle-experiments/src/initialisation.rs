//! Learning a dictionary from data alone.

use std::fmt;

use pudle_core::{DenseConfig, GradientEstimator, PudleConfig};
use pudle_data::{Amplitude, SignRule, SparseCodingConfig};
use pudle_plot::{Axis, Chart, Line, Stroke};
use pudle_train::Update;
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result, within};
use crate::experiment::{Experiment, Task};
use crate::learning::{Plan, learn};
use crate::matching::match_atoms;
use crate::problem::{Dense, Law, Problem, model};
use crate::results::{Measurements, Results, Row, Table, each, select};
use crate::spectral::{Pairwise, pairwise};
use crate::statistics::median;

/// An atom counts as recovered above this inner product.
const RECOVERED: f64 = 0.99;

/// What is measured of the inner products of learned and true atoms.
const MEASURED: [&str; 3] = ["worst", "median", "recovered"];

/// Settings of the experiment.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Initialisation {
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
    /// Law of the amplitudes: uniform:LOW:HIGH or normal:MEAN:SD. The spectral start needs entries of random
    /// sign, so that one-sign:LOW:HIGH is not allowed.
    #[arg(long, value_name = "LAW")]
    pub amplitude: Law,
    /// Number of pairs of data that the spectral start tries.
    #[arg(long, value_name = "N")]
    pub pairs: usize,
    /// A pair counts as sharing exactly one atom if its first eigenvalue is at least G times its second.
    #[arg(long, value_name = "G")]
    pub gap: f64,
    /// Two finds count as one atom if their inner product is at least C.
    #[arg(long, value_name = "C")]
    pub merge: f64,
    /// Sparsity weight λ.
    #[arg(long, value_name = "L")]
    pub lambda: f64,
    /// Step size α of a layer.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Number of unrolled layers T.
    #[arg(long, value_name = "T")]
    pub layers: usize,
    /// Gradient estimator.
    #[arg(long, value_name = "G", value_parser = crate::dictionary_recovery::parse_gradient)]
    pub gradient: GradientEstimator,
    /// Number of data of a training step.
    #[arg(long, value_name = "B")]
    pub batch: usize,
    /// Learning rate of Adam.
    #[arg(long, value_name = "R")]
    pub learning_rate: f64,
    /// ε of Adam.
    #[arg(long, value_name = "E")]
    pub epsilon: f64,
    /// Number of training steps.
    #[arg(long, value_name = "N")]
    pub steps: u64,
    /// Number of seeds, counted up from --seed.
    #[arg(long, value_name = "N")]
    pub seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

/// The dictionary that learning starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// From pairs of data.
    Spectral,
    /// From random atoms.
    Random,
}

/// One training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    start: Start,
    seed: u64,
}

impl Start {
    const ALL: [Self; 2] = [Self::Spectral, Self::Random];
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Start::Spectral => "spectral",
            Start::Random => "random",
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-seed-{}", self.start, self.seed)
    }
}

impl Initialisation {
    fn paper() -> Self {
        Self {
            dim: 50,
            atoms: 100,
            sparsity: 5,
            count: 10_000,
            amplitude: Law::uniform(1.0, 2.0),
            pairs: 40_000,
            gap: 1.6,
            merge: 0.7,
            lambda: 0.2,
            step: 0.2,
            layers: 50,
            gradient: GradientEstimator::AE_LS,
            batch: 500,
            learning_rate: 2e-3,
            epsilon: 1e-8,
            steps: 1500,
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
            batch: self.batch,
            amplitude: self.amplitude.0,
            noise_sd: 0.0,
            seed,
        }
    }

    fn config(&self) -> PudleConfig {
        PudleConfig::dense(DenseConfig { dim: self.dim, atoms: self.atoms })
            .with_layers(self.layers)
            .with_lambda(self.lambda)
            .with_step(self.step)
            .with_gradient(self.gradient)
    }
}

impl Experiment for Initialisation {
    const NAME: &'static str = "initialisation";
    type Key = Key;

    fn presets() -> Vec<(&'static str, Self)> {
        let paper = Self::paper();
        let quick = Self { pairs: 16_000, steps: 600, batch: 250, seeds: 1, ..paper.clone() };
        vec![("paper", paper), ("quick", quick)]
    }

    fn check(&self) -> Result<()> {
        within("pairs", self.pairs, 1, 10_000_000)?;
        within("gap", self.gap, 1.0, 1e6)?;
        within("merge", self.merge, 1e-3, 1.0)?;
        within("batch", self.batch, 1, self.count)?;
        within("learning_rate", self.learning_rate, f64::MIN_POSITIVE, 1e3)?;
        within("epsilon", self.epsilon, f64::MIN_POSITIVE, 1e3)?;
        within("steps", self.steps, 1, 10_000_000)?;
        within("seeds", self.seeds, 1, 1000)?;
        within("dim", self.dim, 2, 2000)?;
        self.draws(0).validate()?;
        if let Amplitude::Uniform { sign: SignRule::PerDatum, .. } = self.amplitude.0 {
            let range = "a law with a sign for every entry, for codes must have mean zero";
            return Err(ExperimentError::range("amplitude", self.amplitude, range));
        }
        Ok(self.config().validate()?)
    }

    fn keys(&self) -> Vec<Key> {
        let seeds = self.seed..self.seed + self.seeds;
        seeds.flat_map(|seed| Start::ALL.map(|start| Key { start, seed })).collect()
    }

    fn work(&self, _key: &Key) -> u64 {
        self.steps
    }

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Measurements> {
        let problem = Problem::new(self.draws(key.seed), task.device)?;
        let mut values = Vec::new();
        let start = match key.start {
            Start::Spectral => {
                let settings = Pairwise { pairs: self.pairs, gap: self.gap, merge: self.merge };
                let found = pairwise(&problem.data(self.count).0, self.atoms, settings, key.seed);
                values.push(("pairs", found.pairs as f64));
                values.push(("found", found.found as f64));
                model(&self.config(), &found.atoms)?
            }
            Start::Random => Dense::new(&self.config(), key.seed, task.device)?,
        };
        let truth = problem.dictionary();
        let plan = Plan {
            problem: &problem,
            steps: self.steps,
            update: Update::adam(self.learning_rate).with_epsilon(self.epsilon as f32),
            every: 20,
            changes: Vec::new(),
            measure: &|atoms| {
                let inner: Vec<f64> =
                    match_atoms(&truth, &atoms).iter().map(|m| m.inner.abs()).collect();
                let recovered = inner.iter().filter(|inner| **inner > RECOVERED).count();
                vec![
                    ("worst", inner.iter().copied().fold(f64::INFINITY, f64::min)),
                    ("median", median(&inner)),
                    ("recovered", recovered as f64 / inner.len() as f64),
                ]
            },
            work: 1,
        };
        let (_, mut measured) = learn(start, &plan, task)?;
        for name in MEASURED {
            let curve = measured.curve(name);
            let ends = [curve.first(), curve.last()].map(|p| p.map_or(f64::NAN, |p| p[1]));
            measured.values.insert(format!("{name} at first"), ends[0]);
            measured.values.insert(format!("{name} at last"), ends[1]);
        }
        measured.values.extend(values.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Ok(measured)
    }

    fn statistics(&self, results: &Results<Key>) -> Vec<Row> {
        let mut rows = Vec::new();
        for start in Start::ALL {
            let measured = select(results, |key| key.start == start);
            if start == Start::Spectral {
                let (found, pairs) = (each(&measured, "found"), each(&measured, "pairs"));
                rows.push(Row::new("atoms that pairs of data give", None, &found));
                rows.push(Row::new("pairs that share one atom", None, &pairs));
            }
            for (name, what) in [
                ("worst", "smallest inner product with a true atom"),
                ("median", "median inner product"),
                ("recovered", "share of atoms above 0.99"),
            ] {
                for when in ["at first", "at last"] {
                    let ours = each(&measured, &format!("{name} {when}"));
                    rows.push(Row::new(format!("{start}: {what}, {when}"), None, &ours));
                }
            }
        }
        rows
    }

    fn tables(&self, results: &Results<Key>) -> Vec<Table> {
        let header = ["start", "seed", "step", "worst", "median", "recovered"];
        let mut table = Table::new("curves", &header);
        for (key, measured) in results {
            for point in measured.curve("worst") {
                let values = MEASURED.map(|name| measured.at(name, point[0]));
                let mut row =
                    vec![key.start.to_string(), key.seed.to_string(), point[0].to_string()];
                row.extend(values.map(|value| value.to_string()));
                table.rows.push(row);
            }
        }
        vec![table]
    }

    fn charts(&self, results: &Results<Key>) -> Vec<Chart> {
        let mut lines = Vec::new();
        for (k, start) in Start::ALL.into_iter().enumerate() {
            let measured = select(results, |key| key.start == start);
            let Some(first) = measured.first() else { continue };
            for (name, stroke) in [("median", Stroke::Solid), ("worst", Stroke::Dashed)] {
                let line = Line::new(format!("{start}, {name}"), first.curve(name).to_vec(), k);
                lines.push(line.with_stroke(stroke));
            }
        }
        vec![Chart {
            name: "inner-products".into(),
            title: format!("Learned atoms matched with the true ones, seed {}", self.seed),
            x: Axis::linear("training step"),
            y: Axis::linear("|⟨learned atom, true atom⟩|"),
            lines,
        }]
    }
}
