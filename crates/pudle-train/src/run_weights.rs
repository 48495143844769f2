//! The weights in the checkpoints of a run.

use std::path::Path;

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Device;
use pudle_core::{AnyPudle, Configured, ModelVisitor, Pudle, PudleConfig};

use crate::error::{Result, TrainError};
use crate::learner::Trainee;
use crate::update::UpdateRule;

/// The model in the file of a run's checkpoint.
///
/// # Errors
/// Returns an error if the file cannot be read, or does not fit the settings.
pub(crate) fn model_of_run(config: &PudleConfig, path: &Path, device: &Device) -> Result<AnyPudle> {
    config.dictionary.visit(Reader { config, path, device })
}

struct Reader<'a> {
    config: &'a PudleConfig,
    path: &'a Path,
    device: &'a Device,
}

impl ModelVisitor for Reader<'_> {
    type Output = Result<AnyPudle>;

    fn visit<const D: usize, A: Configured<D>>(
        self,
        _: Option<Pudle<D, A>>,
        wrap: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output {
        let Self { config, path, device } = self;
        let model = Pudle::<D, A>::new(config, 0, device)?;
        // The file also holds the true dictionary if it is known, and the sums of online dictionary learning.
        let truth = || Some(model.dictionary().atoms().zeros_like());
        let trainee = |truth, rule| load(Trainee::new(model.clone(), truth, rule), path);
        let loaded = trainee(None, UpdateRule::default()).or_else(|error| {
            trainee(None, UpdateRule::Online)
                .or_else(|_| trainee(truth(), UpdateRule::default()))
                .or_else(|_| trainee(truth(), UpdateRule::Online))
                .map_err(|_| error)
        });
        Ok(wrap(loaded?.model))
    }
}

/// Loads the weights of a checkpoint. Burn's own loading of a checkpoint that does not fit would panic.
///
/// # Errors
/// Returns an error if the file cannot be read, or does not fit the settings.
pub(crate) fn load<const D: usize, A: Configured<D>>(
    trainee: Trainee<D, A>,
    path: &Path,
) -> Result<Trainee<D, A>> {
    ModuleRecord::load(path).and_then(|record| trainee.try_load_record(record)).map_err(|error| {
        TrainError::weights(path, format!("does not fit the settings in config.toml: {error}"))
    })
}
