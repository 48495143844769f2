//! Which gradient recovers the dictionary, and how well.

mod settings;

pub(crate) use settings::parse_gradient;
pub use settings::{DictionaryRecovery, Key};

use pudle_core::GradientEstimator;
use pudle_plot::{Axis, Chart, Line, Stroke};
use pudle_train::Update;

use crate::error::{Result, each_within, within};
use crate::experiment::{Experiment, Task};
use crate::learning::{Plan, learn};
use crate::problem::{Problem, model, norm};
use crate::results::{Measurements, Results, Row, Table, each, select};
use crate::statistics::mean_sd;

impl DictionaryRecovery {
    /// Trainings that differ in their seed alone, under the key of the first seed.
    fn groups<'a>(&self, results: &'a Results<Key>) -> Vec<(Key, Vec<&'a Measurements>)> {
        let first = results.iter().filter(|(key, _)| key.seed == self.seed);
        first
            .map(|(key, _)| {
                (*key, select(results, |other| Key { seed: key.seed, ..*other } == *key))
            })
            .collect()
    }

    /// The chart that a training is shown in, without lines.
    fn empty_chart(&self, key: &Key) -> Chart {
        let mut name = String::from("error");
        let mut title = String::from("Distance of the dictionary to the true one");
        for (values, what, value) in [
            (self.noise.len(), "noise", key.noise.to_string()),
            (self.batch.len(), "batch", key.batch.to_string()),
            (self.learning_rate.len(), "rate", key.learning_rate.to_string()),
        ] {
            if values > 1 {
                name += &format!("-{what}-{value}");
                title += &format!(", {what} {value}");
            }
        }
        let (x, y) = (Axis::linear("training step"), Axis::log("‖D − D*‖"));
        Chart { name, title, x, y, lines: Vec::new() }
    }
}

impl Experiment for DictionaryRecovery {
    const NAME: &'static str = "dictionary-recovery";
    type Key = Key;

    fn presets() -> Vec<(&'static str, Self)> {
        let paper = Self::paper();
        let quick = Self { count: 1000, batch: vec![1000], ..paper.clone() };
        let sweep = Self {
            layers: vec![50],
            batch: vec![4, 16, 64],
            learning_rate: vec![1e-4, 1e-3, 1e-2],
            steps: 3000,
            seeds: 1,
            ..paper.clone()
        };
        let noisy = Self {
            noise: vec![0.0, 0.05, 0.1, 0.2],
            count: 1000,
            batch: vec![1000],
            layers: vec![50],
            seeds: 1,
            ..paper.clone()
        };
        vec![
            ("paper", paper),
            ("quick", quick),
            ("large", Self::large()),
            ("sweep", sweep),
            ("noisy", noisy),
        ]
    }

    fn check(&self) -> Result<()> {
        each_within("noise", &self.noise, 0.0, 1e6)?;
        each_within("layers", &self.layers, 1, 100_000)?;
        each_within("batch", &self.batch, 1, self.count)?;
        each_within("learning_rate", &self.learning_rate, f64::MIN_POSITIVE, 1e3)?;
        within("gradients", self.gradients.len(), 1, 100)?;
        within("epsilon", self.epsilon, f64::MIN_POSITIVE, 1e3)?;
        within("perturbation", self.perturbation, 0.0, 1e3)?;
        within("steps", self.steps, 1, 10_000_000)?;
        within("seeds", self.seeds, 1, 1000)?;
        self.keys().iter().try_for_each(|key| self.draws(key).validate())?;
        for layers in &self.layers {
            for gradient in &self.gradients {
                self.config(*layers, *gradient).validate()?;
            }
        }
        Ok(())
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for seed in self.seed..self.seed + self.seeds {
            for &noise in &self.noise {
                for &batch in &self.batch {
                    for &learning_rate in &self.learning_rate {
                        for &layers in &self.layers {
                            for &gradient in &self.gradients {
                                keys.push(Key {
                                    noise,
                                    batch,
                                    learning_rate,
                                    layers,
                                    gradient,
                                    seed,
                                });
                            }
                        }
                    }
                }
            }
        }
        keys
    }

    fn work(&self, key: &Key) -> u64 {
        self.steps * step_work(key)
    }

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Measurements> {
        let problem = Problem::new(self.draws(key), task.device)?;
        let truth = problem.dictionary();
        let start = model(
            &self.config(key.layers, key.gradient),
            &problem.near(self.perturbation, key.seed),
        )?;
        let plan = Plan {
            problem: &problem,
            steps: self.steps,
            update: Update::adam(key.learning_rate).with_epsilon(self.epsilon as f32),
            every: 10,
            changes: Vec::new(),
            measure: &|atoms| vec![("error", norm(atoms - truth.clone()))],
            work: step_work(key),
        };
        let (_, mut measured) = learn(start, &plan, task)?;
        let last = measured.curve("error").last().map_or(f64::NAN, |p| p[1]);
        measured.values.insert("error".into(), last);
        Ok(measured)
    }

    fn statistics(&self, results: &Results<Key>) -> Vec<Row> {
        let row = |(key, measured): (Key, Vec<&Measurements>)| {
            Row::new(self.label(&key), self.published(&key), &each(&measured, "error"))
        };
        self.groups(results).into_iter().map(row).collect()
    }

    fn tables(&self, results: &Results<Key>) -> Vec<Table> {
        let header =
            ["noise", "batch", "learning_rate", "layers", "gradient", "step", "error", "sd"];
        let mut table = Table::new("curves", &header);
        for (key, measured) in self.groups(results) {
            for point in mean_curve(&measured) {
                table.rows.push(vec![
                    key.noise.to_string(),
                    key.batch.to_string(),
                    key.learning_rate.to_string(),
                    key.layers.to_string(),
                    key.gradient.to_string(),
                    point.step.to_string(),
                    point.mean.to_string(),
                    point.sd.map_or(String::new(), |sd| sd.to_string()),
                ]);
            }
        }
        vec![table]
    }

    /// A chart for each noise, batch and learning rate; a line for each gradient and number of layers.
    fn charts(&self, results: &Results<Key>) -> Vec<Chart> {
        let strokes = [Stroke::Solid, Stroke::Dashed, Stroke::Dotted];
        let place = |found: Option<usize>| found.unwrap_or(0);
        let mut charts: Vec<Chart> = Vec::new();
        for (key, measured) in self.groups(results) {
            let empty = self.empty_chart(&key);
            let known = charts.iter().position(|chart| chart.name == empty.name);
            let at = known.unwrap_or_else(|| {
                charts.push(empty);
                charts.len() - 1
            });
            let points = mean_curve(&measured).iter().map(|p| [p.step, p.mean]).collect();
            let colour = place(self.gradients.iter().position(|known| *known == key.gradient));
            let layers = place(self.layers.iter().position(|known| *known == key.layers));
            let label = format!("{}, T = {}", key.gradient, key.layers);
            let line = Line::new(label, points, colour);
            charts[at].lines.push(line.with_stroke(strokes[layers % strokes.len()]));
        }
        charts
    }
}

/// A point of a curve over the steps, over the seeds.
struct MeanPoint {
    step: f64,
    mean: f64,
    sd: Option<f64>,
}

/// The mean error over the seeds.
fn mean_curve(measured: &[&Measurements]) -> Vec<MeanPoint> {
    let steps = measured.first().map_or(&[][..], |first| first.curve("error"));
    let point = |&[step, _]: &[f64; 2]| {
        let at: Vec<f64> = measured.iter().map(|m| m.at("error", step)).collect();
        let (mean, sd) = mean_sd(&at);
        MeanPoint { step, mean, sd }
    };
    steps.iter().map(point).collect()
}

/// The work of a step. The backward pass through the layers takes about three times as long as the forward pass.
fn step_work(key: &Key) -> u64 {
    let back = if key.gradient == GradientEstimator::DEC { 1 } else { 4 };
    (key.layers * back * key.batch).div_ceil(100) as u64
}
