//! The data that `pudle explain` explains a model by.

use std::path::{Path, PathBuf};

use pudle_core::{Backend, DictionaryConfig};
use pudle_data::{DigitSettings, PhotographSettings, Sigma};
use pudle_train::{Checkpoint, DataConfig, Preset, RunConfig, TrainingConfig, Versions};

use crate::arguments::words;
use crate::failure::Failure;

/// Where the data are, and what they are.
#[derive(clap::Args)]
pub struct DataArgs {
    /// Folder of the training data, if it has moved since training. Needed for imported dictionaries.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What the data of an imported dictionary are. Strokes are the drawn digits. By default, filters have photographs, and
    /// a matrix has the digits in --data.
    #[arg(long, value_name = "KIND", value_parser = words::<DataKind>())]
    data_kind: Option<DataKind>,
}

/// What the data of an imported dictionary are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum DataKind {
    Digits,
    Photographs,
    Strokes,
}

/// A model, and what the flags say about its data.
pub struct Explained<'a> {
    pub run: &'a Path,
    pub checkpoint: &'a Checkpoint,
    pub flags: &'a DataArgs,
    /// Noise of the data, on the scale 0 … 255.
    pub sigma: Option<f32>,
}

impl Explained<'_> {
    /// The settings of the run that trained the model, with the data where they are now. `None` if it was imported.
    pub fn run_settings(&self) -> Result<Option<RunConfig>, Failure> {
        let Some(mut config) = RunConfig::load_run(self.run)? else { return Ok(None) };
        if self.flags.data_kind.is_some() {
            let (run, kind) = (self.run.display(), config.data.kind());
            return Err(format!("{run}: was trained on {kind}; leave out --data-kind").into());
        }
        if let Some(data) = &self.flags.data {
            config.data.set_folder(data.clone())?;
        }
        Ok(Some(config))
    }

    /// The settings of a run over the data that the flags name, for an imported dictionary.
    pub fn imported_settings(&self) -> Result<RunConfig, Failure> {
        let model = &self.checkpoint.config;
        let data = match (self.kind()?, &self.flags.data) {
            (DataKind::Strokes, None) => Preset::Digits.config().data,
            (DataKind::Strokes, Some(_)) => {
                let reason = "strokes are drawn; leave out --data or choose another --data-kind";
                return Err(reason.into());
            }
            (_, None) => return Err(self.ask("name their folder with --data")),
            (DataKind::Digits, Some(path)) => DataConfig::Digits(DigitSettings {
                path: path.clone(),
                classes: (0..10).collect(),
                without: Vec::new(),
            }),
            (DataKind::Photographs, Some(dir)) => self.photographs(dir)?,
        };
        data.fits(&model.dictionary)?;
        Ok(RunConfig {
            seed: 0,
            backend: Backend::default(),
            versions: Versions::default(),
            model: model.clone(),
            data,
            training: TrainingConfig::default(),
        })
    }

    /// The kind of the data. Filters over images can only be explained by photographs. A matrix can only be explained by
    /// digits, but without a folder they may be drawn ones.
    fn kind(&self) -> Result<DataKind, Failure> {
        match (self.flags.data_kind, self.checkpoint.config.dictionary) {
            (Some(kind), _) => Ok(kind),
            (None, DictionaryConfig::Conv2d(_)) => Ok(DataKind::Photographs),
            (None, DictionaryConfig::Dense(_)) if self.flags.data.is_some() => Ok(DataKind::Digits),
            (None, DictionaryConfig::Dense(_)) => Err(self.ask(
                "choose --data-kind digits with their folder as --data, or --data-kind strokes",
            )),
            (None, DictionaryConfig::Conv1d(_)) => {
                Err("filters along signals can only be explained by the recording of their own run"
                    .into())
            }
        }
    }

    fn ask(&self, choice: &str) -> Failure {
        let run = self.run.display();
        format!("{run}: is imported, so its training data are not known; {choice}").into()
    }

    fn photographs(&self, dir: &Path) -> Result<DataConfig, Failure> {
        let size = match self.checkpoint.config.dictionary {
            DictionaryConfig::Conv2d(filters) => filters.size,
            _ => 1,
        };
        let sigma = self.checkpoint.sigma.or(self.sigma.map(Sigma::At)).ok_or_else(|| {
            let run = self.run.display();
            format!("{run}: its noise level is not known; give it with --sigma, 0 for clean data")
        })?;
        Ok(DataConfig::Photographs(PhotographSettings::new(dir, size, sigma)))
    }
}
