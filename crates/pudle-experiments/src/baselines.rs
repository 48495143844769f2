//! What the bias of `λ` costs and how it goes away, beside NOODL.

mod charts;
mod data;
mod settings;
mod statistics;
mod tables;

pub use settings::{Baselines, Key, Method};

use pudle_plot::Chart;
use pudle_train::Update;

use crate::error::Result;
use crate::experiment::{Experiment, Task};
use crate::learning::{Plan, learn};
use crate::problem::{Law, model, norm};
use crate::results::{Measurements, Results, Row, Table};
use statistics::REACHED;

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
        self.validate()
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

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Measurements> {
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
        let (_, mut measured) = learn(start, &plan, task)?;
        let last = measured.curve("error").last().map_or(f64::NAN, |p| p[1]);
        measured.values.insert("error".into(), last);
        for error in REACHED {
            let reached = measured.curve("error").iter().find(|p| p[1] <= error).map(|p| p[0]);
            if let Some(step) = reached {
                measured
                    .values
                    .insert(format!("seconds to {error:e}"), measured.at("seconds", step));
            }
        }
        Ok(measured)
    }

    fn statistics(&self, results: &Results<Key>) -> Vec<Row> {
        statistics::rows(self, results)
    }

    fn tables(&self, results: &Results<Key>) -> Vec<Table> {
        vec![tables::curves(results)]
    }

    fn charts(&self, results: &Results<Key>) -> Vec<Chart> {
        self.sparsity.iter().flat_map(|s| charts::of_sparsity(self, *s, results)).collect()
    }
}
