//! What each step from the published denoiser to the one that ships is worth.

use std::path::PathBuf;

use clap::ValueEnum;
use pudle_core::{
    Algorithm, Backend, ConvConfig, Learned, PudleConfig, ThresholdConfig, Weight, WeightTying,
};
use pudle_data::{PhotographSettings, Sigma};
use pudle_plot::{Axis, Chart, Line, Stroke};
use pudle_train::{
    DataConfig, Denoiser, LearningRateSchedule, RunConfig, Scoring, ShiftCount, TrainingConfig,
    Versions, evaluate,
};
use serde::{Deserialize, Serialize};

use crate::denoiser_training::{check_folders, test_curve, train_denoiser};
use crate::error::{ExperimentError, Result, within};
use crate::experiment::{Experiment, Task};
use crate::results::{Measurements, Results, Row, Table};

/// Settings of the experiment.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenoisingIngredients {
    /// Folder of photographs to learn from.
    #[arg(long, value_name = "DIR")]
    pub train: PathBuf,
    /// Folder of photographs to score on.
    #[arg(long, value_name = "DIR")]
    pub test: PathBuf,
    /// Noise, on the scale 0 … 255.
    #[arg(long, value_name = "S")]
    pub sigma: f32,
    /// Which models to train.
    #[arg(long, value_name = "I,…", value_delimiter = ',')]
    pub ingredients: Vec<Ingredient>,
    /// Number of training steps of each model.
    #[arg(long, value_name = "N")]
    pub steps: u64,
    /// Number of shifts whose mean is scored, beside a single pass.
    #[arg(long, value_name = "N")]
    pub shifts: usize,
    /// Seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

/// A model. Each is the one before it with one thing more, up to `blind`; those after it each change one thing of `blind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ingredient {
    /// The published network: 64 filters 9×9, stride 4, 15 layers, λ = 0.16, one crop a step, Adam with ε = 1e-3.
    Published,
    /// Four crops a step, Adam with ε = 1e-8 and a warm-up.
    Optimiser,
    /// Data minus ½ go in, and ½ is added to what comes out.
    Offset,
    /// λ learned for each atom.
    PerAtom,
    /// λ learned for each atom and layer.
    PerLayer,
    /// The mean of two random shifts is trained.
    Shifts,
    /// 175 filters 11×11, stride 8, 12 layers.
    LargeFilters,
    /// 256 of them.
    ManyFilters,
    /// A gain for each atom in the decoder.
    Gain,
    /// λ affine in the noise, trained over σ from 5 to 55.
    Blind,
    /// FISTA in place of ISTA.
    Fista,
    /// The decoder has a dictionary of its own.
    OwnDecoder,
    /// Analysis, synthesis and decoder each have a dictionary of their own.
    Untied,
}

impl Ingredient {
    fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// What it is, in words.
    fn says(self) -> &'static str {
        match self {
            Self::Published => "the published network, 64 filters 9×9, stride 4, 15 layers",
            Self::Optimiser => "+ batches of four, Adam with ε = 1e-8, warm-up",
            Self::Offset => "+ data centred on ½",
            Self::PerAtom => "+ λ learned for each atom",
            Self::PerLayer => "+ and for each layer",
            Self::Shifts => "+ two random shifts averaged in training",
            Self::LargeFilters => "+ 175 filters 11×11, stride 8, 12 layers",
            Self::ManyFilters => "+ 256 of them",
            Self::Gain => "+ a gain for each atom in the decoder",
            Self::Blind => "+ one model for σ from 5 to 55, λ affine in σ",
            Self::Fista => "that, with FISTA",
            Self::OwnDecoder => "that, with a decoder of its own",
            Self::Untied => "that, with three banks of their own",
        }
    }
}

impl DenoisingIngredients {
    fn paper() -> Self {
        Self {
            train: "datasets/BSD432".into(),
            test: "datasets/BSD68".into(),
            sigma: 25.0,
            ingredients: Ingredient::value_variants().to_vec(),
            steps: 4000,
            shifts: 16,
            seed: 0,
        }
    }

    /// The PSNR of one pass, and of averaged shifts.
    fn scores(&self, measured: &Measurements) -> (f64, f64) {
        (measured.value("psnr 1"), measured.value(&format!("psnr {}", self.shifts)))
    }

    fn run_config(&self, ingredient: Ingredient, backend: Backend) -> RunConfig {
        let has = |other| ingredient >= other;
        let (filters, layers, step) = if has(Ingredient::ManyFilters) {
            (ConvConfig { atoms: 256, channels: 1, size: 11, stride: 8 }, 12, 0.1)
        } else if has(Ingredient::LargeFilters) {
            (ConvConfig { atoms: 175, channels: 1, size: 11, stride: 8 }, 12, 0.15)
        } else {
            (ConvConfig { atoms: 64, channels: 1, size: 9, stride: 4 }, 15, 0.1)
        };
        // The published λ belongs to one step size and unlearned thresholds; learned ones find theirs from lower down.
        let lambda = if has(Ingredient::PerAtom) { 0.1 } else { 0.16 };
        let threshold = match ingredient {
            _ if has(Ingredient::PerAtom) => ThresholdConfig::Learned(Learned {
                lambda,
                per_layer: has(Ingredient::PerLayer),
                sigma: has(Ingredient::Blind).then_some(25.0),
                signed: false,
            }),
            _ => ThresholdConfig::constant(lambda),
        };
        let tying = match ingredient {
            Ingredient::OwnDecoder => WeightTying::Decoder,
            Ingredient::Untied => WeightTying::Untied,
            _ if has(Ingredient::Gain) => WeightTying::Gain,
            _ => WeightTying::Tied,
        };
        let algorithm = match ingredient {
            Ingredient::Fista => Algorithm::Fista,
            _ => Algorithm::Ista,
        };
        let model = PudleConfig::conv2d(filters)
            .with_layers(layers)
            .with_step(step)
            .with_threshold(threshold)
            .with_tying(tying)
            .with_algorithm(algorithm)
            .with_offset(if has(Ingredient::Offset) { 0.5 } else { 0.0 });
        let shifts = if has(Ingredient::Shifts) { 2 } else { 1 };
        // About 128 pixels that all positions cover, and the room of a shift.
        let room = if shifts > 1 { filters.stride - 1 } else { 0 };
        let positions = (128 - filters.size - room).div_ceil(filters.stride);
        let crop = filters.size + positions * filters.stride + room;
        let training = TrainingConfig {
            steps: self.steps,
            // Banks of their own are not kept at unit norm, and go astray at a high rate.
            learning_rate: match ingredient {
                Ingredient::OwnDecoder | Ingredient::Untied => 1e-3,
                _ => 2e-3,
            },
            schedule: LearningRateSchedule::Cosine,
            valid_every: self.steps.div_ceil(4),
            shifts,
            ..TrainingConfig::default()
        };
        let sigma = match has(Ingredient::Blind) {
            true => Sigma::Between([5.0, 55.0]),
            false => Sigma::At(self.sigma),
        };
        let training = match has(Ingredient::Optimiser) {
            true => {
                TrainingConfig { batch: 4, epsilon: 1e-8, warm_up: self.steps / 16, ..training }
            }
            false => training,
        };
        RunConfig {
            seed: self.seed,
            backend,
            versions: Versions::default(),
            model,
            data: DataConfig::Photographs(PhotographSettings {
                valid: Some(self.test.clone()),
                ..PhotographSettings::new(&self.train, crop, sigma)
            }),
            training,
        }
    }
}

impl Experiment for DenoisingIngredients {
    const NAME: &'static str = "denoising-ingredients";
    type Key = String;

    fn presets() -> Vec<(&'static str, Self)> {
        vec![("paper", Self::paper()), ("quick", Self { steps: 500, ..Self::paper() })]
    }

    fn check(&self) -> Result<()> {
        if self.ingredients.is_empty() {
            return Err(ExperimentError::range("ingredients", "empty", "at least one value"));
        }
        let mut once = self.ingredients.clone();
        once.sort();
        once.dedup();
        if once.len() < self.ingredients.len() {
            return Err(ExperimentError::range(
                "ingredients",
                "not all different",
                "each named once",
            ));
        }
        Scoring::new(self.sigma).check()?;
        within("steps", self.steps, 16, 100_000_000)?;
        within("shifts", self.shifts, 2, 16)?;
        check_folders(&self.train, &self.test)?;
        for ingredient in &self.ingredients {
            self.run_config(*ingredient, Backend::default()).validate()?;
        }
        Ok(())
    }

    fn keys(&self) -> Vec<String> {
        self.ingredients.iter().map(|ingredient| ingredient.name()).collect()
    }

    fn work(&self, _: &String) -> u64 {
        self.steps
    }

    fn run(&self, key: &String, task: &Task<'_>) -> Result<Measurements> {
        let ingredient = Ingredient::from_str(key, false).expect("a key is an ingredient's name");
        let checkpoint = train_denoiser(self.run_config(ingredient, task.backend), task, 1)?;
        let mut measured = Measurements::default();
        measured.curves.insert("test".into(), test_curve(&task.state.join("metrics.csv"))?);
        let weights: usize = checkpoint.model.weights().iter().map(Weight::len).sum();
        measured.values.insert("weights".into(), weights as f64);
        let denoiser = Denoiser::new(checkpoint, key, task.device)?;
        for shifts in [1, self.shifts] {
            let denoiser = denoiser.clone().with_shifts(ShiftCount::Count(shifts))?;
            let scores = evaluate(&denoiser, &self.test, Scoring::new(self.sigma), |_| Ok(()))?;
            let psnr = task.finite("the PSNR", scores.mean_psnr)?;
            measured.values.insert(format!("psnr {shifts}"), psnr);
        }
        Ok(measured)
    }

    fn statistics(&self, results: &Results<String>) -> Vec<Row> {
        let mut rows = Vec::new();
        for (key, measured) in results {
            let says = Ingredient::from_str(key, false).map_or("", Ingredient::says);
            let (single, shifted) = self.scores(measured);
            rows.push(Row::new(format!("{says}: PSNR, one pass"), None, &[single]));
            rows.push(Row::new(format!("{says}: PSNR, {} shifts", self.shifts), None, &[shifted]));
        }
        rows
    }

    fn tables(&self, results: &Results<String>) -> Vec<Table> {
        let header = ["ingredient", "weights", "psnr_single", "psnr_shifts", "seconds"];
        let mut scores = Table::new("cells", &header);
        let mut curves = Table::new("curves", &["ingredient", "step", "test_psnr"]);
        for (key, measured) in results {
            let (single, shifted) = self.scores(measured);
            let numbers = [measured.value("weights"), single, shifted, measured.seconds];
            let numbers = numbers.into_iter().map(|number| number.to_string());
            scores.rows.push([key.clone()].into_iter().chain(numbers).collect());
            for point in measured.curve("test") {
                curves.rows.push(vec![key.clone(), point[0].to_string(), point[1].to_string()]);
            }
        }
        vec![scores, curves]
    }

    /// Blind models have a chart of their own: they are validated at the middle of their noise levels, not at `sigma`.
    fn charts(&self, results: &Results<String>) -> Vec<Chart> {
        let (mut one_level, mut blind) = (Vec::new(), Vec::new());
        for (key, measured) in results {
            let lines = match Ingredient::from_str(key, false) {
                Ok(ingredient) if ingredient >= Ingredient::Blind => &mut blind,
                _ => &mut one_level,
            };
            let line = Line::new(key.clone(), measured.curve("test").to_vec(), lines.len());
            let stroke = if lines.len() < 7 { Stroke::Solid } else { Stroke::Dashed };
            lines.push(line.with_stroke(stroke));
        }
        let charts = [("one-level", self.sigma, one_level), ("blind", 30.0, blind)];
        let shown = charts.into_iter().filter(|(_, _, lines)| !lines.is_empty());
        let chart = |(name, sigma, lines): (&str, f32, Vec<Line>)| Chart {
            name: name.into(),
            title: format!("One pass over the test photographs during training, σ = {sigma}"),
            x: Axis::linear("training step"),
            y: Axis::linear("PSNR in dB"),
            lines,
        };
        shown.map(chart).collect()
    }
}
