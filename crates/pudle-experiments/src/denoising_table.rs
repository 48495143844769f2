//! What a dictionary that dec or ae-ls learned is worth as a denoiser of photographs, by `λ`.

use std::fmt;
use std::path::PathBuf;

use pudle_core::{Backend, Conv2dConfig, GradientEstimator, Proximal, PudleConfig};
use pudle_data::{PhotographSettings, Sigma};
use pudle_plot::{Axis, Chart, Line, Stroke};
use pudle_train::{
    DataConfig, Denoiser, Format, LearningRateSchedule, Protocol, RunConfig, Scoring,
    TrainingConfig, Versions, evaluate,
};
use serde::{Deserialize, Serialize};

use crate::denoiser_training::{check_folders, test_curve, train_denoiser};
use crate::error::{ExperimentError, Result, each_within, within};
use crate::experiment::{Cell, Experiment, Report, Row, Table, Task, mean_sd};

/// Settings of the experiment; lists are run through in all combinations.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenoisingTable {
    /// Folder of photographs to learn from.
    #[arg(long, value_name = "DIR")]
    pub train: PathBuf,
    /// Folder of photographs to score on.
    #[arg(long, value_name = "DIR")]
    pub test: PathBuf,
    /// Noise, on the scale 0 … 255.
    #[arg(long, value_name = "S")]
    pub sigma: f32,
    /// Filters p.
    #[arg(long, value_name = "P")]
    pub atoms: usize,
    /// Side of a filter in pixels.
    #[arg(long, value_name = "K")]
    pub size: usize,
    /// Pixels between positions of a filter.
    #[arg(long, value_name = "N")]
    pub stride: usize,
    /// Unrolled layers T.
    #[arg(long, value_name = "T")]
    pub layers: usize,
    /// Step size α of a layer.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Gradient estimators, under soft thresholds.
    #[arg(long, value_name = "G,…", value_delimiter = ',')]
    pub gradients: Vec<GradientEstimator>,
    /// Sparsity weights λ of the soft thresholds.
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    pub lambdas: Vec<f64>,
    /// Levels of hard thresholds, with the gradient ae-ls.
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    pub hard_levels: Vec<f64>,
    /// Side of a crop in pixels.
    #[arg(long, value_name = "N")]
    pub crop: usize,
    /// Crops of a training step.
    #[arg(long, value_name = "B")]
    pub batch: usize,
    /// Learning rate of Adam, which falls to 0 along half a cosine.
    #[arg(long, value_name = "R")]
    pub learning_rate: f64,
    /// ε of Adam.
    #[arg(long, value_name = "E")]
    pub epsilon: f32,
    /// Training steps.
    #[arg(long, value_name = "N")]
    pub steps: u64,
    /// How often the dictionary is scored on the way.
    #[arg(long, value_name = "N")]
    pub points: u64,
    /// Seeds under soft thresholds, counted up from --seed.
    #[arg(long, value_name = "N")]
    pub seeds: u64,
    /// Seeds under hard thresholds.
    #[arg(long, value_name = "N")]
    pub hard_seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

/// A training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    gradient: GradientEstimator,
    prox: Proximal,
    /// `λ`, or the level of a hard threshold.
    lambda: f64,
    seed: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prox {
            Proximal::Hard => write!(f, "hard-level-{}-seed-{}", self.lambda, self.seed),
            _ => write!(f, "{}-lambda-{}-seed-{}", self.gradient, self.lambda, self.seed),
        }
    }
}

/// Published PSNR under `paper`: λ with dec and ae-ls, and levels of hard thresholds.
const PUBLISHED: [(f64, [f64; 2]); 4] =
    [(0.08, [24.21, 24.79]), (0.12, [24.93, 25.43]), (0.16, [25.25, 25.63]), (0.2, [24.88, 25.46])];
const PUBLISHED_HARD: [(f64, f64); 4] = [(0.02, 22.86), (0.05, 25.40), (0.08, 24.68), (0.1, 23.77)];

impl DenoisingTable {
    fn paper() -> Self {
        Self {
            train: "datasets/BSD432".into(),
            test: "datasets/BSD68".into(),
            sigma: 25.0,
            atoms: 64,
            size: 9,
            stride: 4,
            layers: 15,
            step: 0.1,
            gradients: vec![GradientEstimator::DEC, GradientEstimator::AE_LS],
            lambdas: vec![0.08, 0.12, 0.16, 0.2],
            hard_levels: vec![0.02, 0.05, 0.08, 0.1],
            crop: 129,
            batch: 1,
            learning_rate: 1e-3,
            epsilon: 1e-3,
            steps: 12_000,
            points: 8,
            seeds: 3,
            hard_seeds: 1,
            seed: 0,
        }
    }

    /// Whether the network is the published one, however it was trained.
    fn is_published(&self) -> bool {
        let paper = Self::paper();
        let network = |table: &Self| {
            let Self { sigma, atoms, size, stride, layers, step, .. } = *table;
            (sigma, atoms, size, stride, layers, step)
        };
        network(self) == network(&paper)
    }

    fn published(&self, key: &Key) -> Option<f64> {
        if !self.is_published() {
            return None;
        }
        if key.prox == Proximal::Hard {
            return PUBLISHED_HARD.iter().find(|(level, _)| *level == key.lambda).map(|(_, p)| *p);
        }
        let column = [GradientEstimator::DEC, GradientEstimator::AE_LS]
            .iter()
            .position(|gradient| *gradient == key.gradient)?;
        PUBLISHED.iter().find(|(lambda, _)| *lambda == key.lambda).map(|(_, p)| p[column])
    }

    fn run_config(&self, key: &Key, backend: Backend) -> RunConfig {
        let Self { atoms, size, stride, .. } = *self;
        RunConfig {
            seed: key.seed,
            backend,
            versions: Versions::default(),
            model: PudleConfig::conv2d(Conv2dConfig { atoms, channels: 1, size, stride })
                .with_layers(self.layers)
                .with_step(self.step)
                .with_lambda(key.lambda)
                .with_prox(key.prox)
                .with_gradient(key.gradient),
            data: DataConfig::Photographs(PhotographSettings {
                valid: Some(self.test.clone()),
                ..PhotographSettings::new(&self.train, self.crop, Sigma::At(self.sigma))
            }),
            training: TrainingConfig {
                steps: self.steps,
                batch: self.batch,
                learning_rate: self.learning_rate,
                schedule: LearningRateSchedule::Cosine,
                epsilon: self.epsilon,
                valid_every: self.steps.div_ceil(self.points),
                ..TrainingConfig::default()
            },
        }
    }
}

impl Experiment for DenoisingTable {
    const NAME: &'static str = "denoising-table";
    type Key = Key;

    fn presets() -> Vec<(&'static str, Self)> {
        let quick = Self {
            lambdas: vec![0.16],
            hard_levels: vec![0.05],
            steps: 2000,
            points: 4,
            seeds: 1,
            ..Self::paper()
        };
        vec![("paper", Self::paper()), ("quick", quick)]
    }

    fn check(&self) -> Result<()> {
        each_within("lambdas", &self.lambdas, 0.0, 1e3)?;
        if !self.hard_levels.is_empty() {
            each_within("hard_levels", &self.hard_levels, 0.0, 1e3)?;
        }
        if self.gradients.is_empty() {
            return Err(ExperimentError::range("gradients", "empty", "at least one value"));
        }
        Scoring::new(self.sigma).check()?;
        within("steps", self.steps, 1, 100_000_000)?;
        within("points", self.points, 1, self.steps)?;
        within("seeds", self.seeds, 1, 1000)?;
        within("hard_seeds", self.hard_seeds, 1, 1000)?;
        check_folders(&self.train, &self.test)?;
        for key in self.keys() {
            self.run_config(&key, Backend::default()).validate()?;
        }
        Ok(())
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for seed in self.seed..self.seed + self.seeds {
            for &lambda in &self.lambdas {
                for &gradient in &self.gradients {
                    keys.push(Key { gradient, prox: Proximal::Soft, lambda, seed });
                }
            }
        }
        for seed in self.seed..self.seed + self.hard_seeds {
            for &lambda in &self.hard_levels {
                let gradient = GradientEstimator::AE_LS;
                keys.push(Key { gradient, prox: Proximal::Hard, lambda, seed });
            }
        }
        keys
    }

    fn work(&self, key: &Key) -> u64 {
        self.steps * step_work(key)
    }

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Cell> {
        let config = self.run_config(key, task.backend);
        let checkpoint = train_denoiser(config, task, step_work(key))?;
        let mut cell = Cell::default();
        let curve = test_curve(&task.state.join("metrics.csv"))?;
        cell.curves.insert("test".into(), curve);
        let atoms = task.dir.join("atoms");
        std::fs::create_dir_all(&atoms).map_err(ExperimentError::io(&atoms))?;
        checkpoint.export(Format::Png, &atoms.join(format!("{}.png", task.name)))?;
        checkpoint.write(&task.dir.join("models").join(&task.name))?;
        let denoiser = Denoiser::new(checkpoint, &task.name, task.device)?;
        for protocol in [Protocol::Paper, Protocol::Full] {
            let scores = evaluate(
                &denoiser,
                &self.test,
                Scoring { protocol, ..Scoring::new(self.sigma) },
                |_| Ok(()),
            )?;
            let psnr = task.finite("the PSNR", scores.mean_psnr)?;
            cell.values.insert(format!("psnr {protocol}"), psnr);
            cell.values.insert("ssim".into(), scores.mean_ssim);
        }
        Ok(cell)
    }

    fn report(&self, cells: &[(Key, Cell)]) -> Report {
        let mut rows = Vec::new();
        let mut each = Table::new(
            "cells",
            &["gradient", "prox", "lambda", "seed", "psnr_paper", "psnr_full", "ssim", "seconds"],
        );
        let mut curves =
            Table::new("curves", &["gradient", "prox", "lambda", "seed", "step", "test_psnr"]);
        for (key, cell) in cells {
            let name = [
                key.gradient.to_string(),
                key.prox.to_string(),
                key.lambda.to_string(),
                key.seed.to_string(),
            ];
            let figures = [cell.value("psnr paper"), cell.value("psnr full"), cell.value("ssim")];
            let figures = figures.into_iter().chain([cell.seconds]).map(|f| f.to_string());
            each.rows.push(name.iter().cloned().chain(figures).collect());
            for point in cell.curve("test") {
                let point = point.map(|value| value.to_string());
                curves.rows.push(name.iter().cloned().chain(point).collect());
            }
        }

        let groups = self.groups(cells);
        for protocol in ["paper", "full"] {
            for (key, of) in &groups {
                let psnr: Vec<f64> =
                    of.iter().map(|cell| cell.value(&format!("psnr {protocol}"))).collect();
                let published = self.published(key).filter(|_| protocol == "paper");
                rows.push(Row::new(format!("{}: PSNR, {protocol}", label(key)), published, &psnr));
            }
        }
        rows.extend(self.margins(&groups));
        for (key, of) in &groups {
            let late: Vec<f64> = of.iter().map(|cell| last_quarter(cell.curve("test"))).collect();
            rows.push(Row::new(
                format!("{}: dB gained in the last quarter", label(key)),
                None,
                &late,
            ));
        }
        Report { rows, tables: vec![each, curves], charts: self.charts(&groups) }
    }
}

impl DenoisingTable {
    /// The trainings that differ in their seed alone.
    fn groups<'a>(&self, cells: &'a [(Key, Cell)]) -> Vec<(Key, Vec<&'a Cell>)> {
        let first = cells.iter().filter(|(key, _)| key.seed == self.seed);
        first
            .map(|(key, _)| {
                let same = |other: &Key| Key { seed: key.seed, ..*other } == *key;
                (*key, cells.iter().filter(|(k, _)| same(k)).map(|(_, cell)| cell).collect())
            })
            .collect()
    }

    /// ae-ls above dec at each λ, seed by seed.
    fn margins(&self, groups: &[(Key, Vec<&Cell>)]) -> Vec<Row> {
        let of = |gradient, lambda| {
            let key = Key { gradient, prox: Proximal::Soft, lambda, seed: self.seed };
            groups.iter().find(|(other, _)| *other == key).map(|(_, cells)| cells)
        };
        let pair = |lambda: &f64| {
            let (dec, ls) =
                (of(GradientEstimator::DEC, *lambda)?, of(GradientEstimator::AE_LS, *lambda)?);
            let psnr = |cell: &Cell| cell.value("psnr paper");
            let margins: Vec<f64> = dec.iter().zip(ls).map(|(d, l)| psnr(l) - psnr(d)).collect();
            let published = self
                .is_published()
                .then(|| PUBLISHED.iter().find(|(l, _)| l == lambda).map(|(_, p)| p[1] - p[0]));
            let name = format!("λ = {lambda}: ae-ls above dec, dB");
            Some(Row::new(name, published.flatten(), &margins))
        };
        self.lambdas.iter().filter_map(pair).collect()
    }

    fn charts(&self, groups: &[(Key, Vec<&Cell>)]) -> Vec<Chart> {
        let mut charts = Vec::new();
        let soft = |key: &&(Key, Vec<&Cell>)| key.0.prox == Proximal::Soft;
        if self.lambdas.len() > 1 {
            charts.push(self.by_lambda(groups));
        }
        let mut lines = Vec::new();
        for (k, lambda) in self.lambdas.iter().enumerate() {
            for (key, of) in groups.iter().filter(soft).filter(|(key, _)| key.lambda == *lambda) {
                let stroke = match self.gradients.iter().position(|g| *g == key.gradient) {
                    Some(0) => Stroke::Dashed,
                    Some(1) => Stroke::Solid,
                    _ => Stroke::Dotted,
                };
                let line = Line::new(format!("{}, λ = {lambda}", key.gradient), means(of), k);
                lines.push(line.with_stroke(stroke));
            }
        }
        charts.push(training("soft", "Test score during training, soft thresholds", lines));
        let hard: Vec<_> = groups.iter().filter(|(key, _)| key.prox == Proximal::Hard).collect();
        if !hard.is_empty() {
            let line = |(k, (key, of)): (usize, &&(Key, Vec<&Cell>))| {
                Line::new(format!("level {}", key.lambda), means(of), k)
            };
            let lines = hard.iter().enumerate().map(line).collect();
            charts.push(training("hard", "Test score during training, hard thresholds", lines));
        }
        charts
    }

    /// PSNR against λ, beside what was published.
    fn by_lambda(&self, groups: &[(Key, Vec<&Cell>)]) -> Chart {
        let final_psnr = |of: &[&Cell]| {
            mean_sd(&of.iter().map(|cell| cell.value("psnr paper")).collect::<Vec<_>>()).0
        };
        let of_line = |key: &Key, gradient| key.prox == Proximal::Soft && key.gradient == gradient;
        let (mut lines, mut published) = (Vec::new(), Vec::new());
        for (k, gradient) in self.gradients.iter().enumerate() {
            let of: Vec<_> = groups.iter().filter(|(key, _)| of_line(key, *gradient)).collect();
            let ours = of.iter().map(|(key, cells)| [key.lambda, final_psnr(cells)]).collect();
            lines.push(Line::new(format!("{gradient}, ours"), ours, k));
            let theirs: Vec<[f64; 2]> =
                of.iter().filter_map(|(key, _)| Some([key.lambda, self.published(key)?])).collect();
            if !theirs.is_empty() {
                let line = Line::new(format!("{gradient}, published"), theirs, k);
                published.push(line.with_stroke(Stroke::Dashed));
            }
        }
        lines.extend(published);
        Chart {
            name: "lambda".into(),
            title: format!("Denoising at σ = {}, protocol paper", self.sigma),
            x: Axis::linear("λ"),
            y: Axis::linear("PSNR in dB"),
            lines,
        }
    }
}

fn training(name: &str, title: &str, lines: Vec<Line>) -> Chart {
    let (x, y) = (Axis::linear("training step"), Axis::linear("PSNR in dB, protocol full"));
    Chart { name: name.into(), title: title.into(), x, y, lines }
}

fn label(key: &Key) -> String {
    match key.prox {
        Proximal::Hard => format!("hard, level {}", key.lambda),
        _ => format!("{}, λ = {}", key.gradient, key.lambda),
    }
}

/// Backpropagation through the layers takes about as long as two forward passes.
fn step_work(key: &Key) -> u64 {
    if key.gradient == GradientEstimator::DEC { 2 } else { 3 }
}

/// Mean of the test curves.
fn means(cells: &[&Cell]) -> Vec<[f64; 2]> {
    let steps = cells.first().map_or(&[][..], |cell| cell.curve("test"));
    let mean =
        |step: f64| mean_sd(&cells.iter().map(|cell| cell.at("test", step)).collect::<Vec<_>>()).0;
    steps.iter().map(|point| [point[0], mean(point[0])]).collect()
}

/// How much a curve rises in the last quarter of its steps.
fn last_quarter(curve: &[[f64; 2]]) -> f64 {
    let Some(last) = curve.last() else { return f64::NAN };
    let before = curve.iter().rev().find(|point| point[0] <= 0.75 * last[0]);
    before.map_or(f64::NAN, |before| last[1] - before[1])
}
