//! How fast the gradients of the unrolled network reach the local direction, and how near they come to
//! the desired one.

mod batch;
mod charts;
mod rates;
mod settings;
mod statistics;
mod tables;

pub use settings::{GradientDynamics, Key};

use pudle_core::GradientEstimator;
use pudle_plot::Chart;

use crate::error::{Result, within};
use crate::experiment::{Experiment, Task};
use crate::results::{Measurements, Results, Row, Table};

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
            Key::Data { .. } => self.data as u64 * rates::WORK,
        }
    }

    fn run(&self, key: &Key, task: &Task<'_>) -> Result<Measurements> {
        match *key {
            Key::Batch { seed } => self.batch(seed, task),
            Key::Data { seed } => self.single(seed, task),
        }
    }

    fn statistics(&self, results: &Results<Key>) -> Vec<Row> {
        statistics::rows(self, results)
    }

    fn tables(&self, results: &Results<Key>) -> Vec<Table> {
        vec![tables::curves(self, results), tables::data(results)]
    }

    fn charts(&self, results: &Results<Key>) -> Vec<Chart> {
        charts::all(self, results)
    }
}
