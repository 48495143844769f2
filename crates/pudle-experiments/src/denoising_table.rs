//! What a dictionary that dec or ae-ls learned is worth as a denoiser of photographs, by `λ`.

mod charts;
mod settings;
mod statistics;
mod tables;

pub use settings::{DenoisingTable, Key};

use pudle_core::{Backend, GradientEstimator, Proximal};
use pudle_plot::Chart;
use pudle_train::{Denoiser, Format, Protocol, Scoring, evaluate};

use crate::denoiser_training::{check_folders, test_curve, train_denoiser};
use crate::error::{ExperimentError, Result, each_within, within};
use crate::experiment::{Experiment, Task};
use crate::results::{Measurements, Results, Row, Table};

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

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Measurements> {
        let config = self.run_config(key, task.backend);
        let checkpoint = train_denoiser(config, task, step_work(key))?;
        let mut measured = Measurements::default();
        let curve = test_curve(&task.state.join("metrics.csv"))?;
        measured.curves.insert("test".into(), curve);
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
            measured.values.insert(format!("psnr {protocol}"), psnr);
            measured.values.insert("ssim".into(), scores.mean_ssim);
        }
        Ok(measured)
    }

    fn statistics(&self, results: &Results<Key>) -> Vec<Row> {
        statistics::rows(self, results)
    }

    fn tables(&self, results: &Results<Key>) -> Vec<Table> {
        vec![tables::scores(results), tables::curves(results)]
    }

    fn charts(&self, results: &Results<Key>) -> Vec<Chart> {
        charts::all(self, results)
    }
}

/// Backpropagation through the layers takes about as long as two forward passes.
fn step_work(key: &Key) -> u64 {
    if key.gradient == GradientEstimator::DEC { 2 } else { 3 }
}
