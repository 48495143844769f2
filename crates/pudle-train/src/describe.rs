//! The description of a checkpoint in text.

use std::fmt;

use pudle_core::{Noise, Step, WeightTying};

use crate::checkpoint::Checkpoint;

impl fmt::Display for Checkpoint {
    /// Writes one line per property.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        let (kind, axes) = (config.dictionary.kind(), config.dictionary.axes());
        let shape = config.dictionary.shape();
        let atoms: usize = shape.iter().product();
        writeln!(f, "dictionary  {kind}, {axes} = {shape:?}, {atoms} weights")?;
        if let Some(stride) = config.dictionary.stride() {
            writeln!(f, "stride      {stride}")?;
        }
        writeln!(f, "layers      {} ({})", config.layers, config.algorithm)?;
        match config.step {
            Step::Given(step) => writeln!(f, "step        {step}")?,
            Step::Auto => writeln!(f, "step        1/‖D‖²")?,
            Step::Learned(_) => {
                let step = self.model.weight("step").map_or(f32::NAN, |step| step.to_vec()[0]);
                writeln!(f, "step        {step:.4}, learned")?;
            }
        }
        writeln!(f, "prox        {}", config.prox)?;
        if let Some(sigma) = self.sigma {
            writeln!(f, "sigma       {sigma} (noise of the training)")?;
        }
        if let Some(name) = config.prox.level_name() {
            writeln!(f, "{name:<11} {}", self.describe_threshold())?;
        }
        if config.tying != WeightTying::Tied {
            writeln!(f, "tying       {}", config.tying)?;
        }
        if config.offset != 0.0 {
            writeln!(f, "offset      {}", config.offset)?;
        }
        let all: usize = self.model.weights().iter().map(|weight| weight.len()).sum();
        if all > atoms {
            writeln!(f, "weights     {all} in all")?;
        }
        write!(f, "gradient    {}", config.gradient)
    }
}

impl Checkpoint {
    /// The description of the sparsity weights. For learned weights it has their mean and maximum in the last layer.
    fn describe_threshold(&self) -> String {
        let threshold = self.config.threshold.describe();
        if !self.config.threshold.is_learned() {
            return threshold;
        }
        let last = self.model.lambda(self.config.layers - 1, &Noise::Unknown);
        let mean = last.iter().sum::<f32>() / last.len().max(1) as f32;
        let most = last.iter().fold(0.0f32, |most, value| most.max(*value));
        format!("{threshold}; in the last layer mean {mean:.4}, largest {most:.4}")
    }
}
