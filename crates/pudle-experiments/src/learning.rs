//! Learning a dictionary step by step, with measurements on the way, over interruptions.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Tensor;
use pudle_core::{DenseDictionary, Dictionary, PudleConfig};
use pudle_train::{Trainer, Update};
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::experiment::Task;
use crate::folder;
use crate::problem::{Dense, Problem};
use crate::results::Measurements;

/// What is learned from, and how.
pub(crate) struct Plan<'a> {
    pub problem: &'a Problem,
    pub steps: u64,
    pub update: Update,
    /// Steps from one measurement to the next.
    pub every: u64,
    /// When the settings of the model change, in the order of the steps.
    pub changes: Vec<Change>,
    /// Measures a dictionary: names and values.
    pub measure: &'a dyn Fn(Tensor<2>) -> Vec<(&'static str, f64)>,
    /// Work of a step.
    pub work: u64,
}

/// The settings of a model from a step on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The first step under these settings; the first step of all is 0.
    pub step: u64,
    /// The settings.
    pub model: PudleConfig,
}

impl Plan<'_> {
    /// The change that `step` is under, if there was any.
    fn change(&self, step: u64) -> Option<&Change> {
        let past = self.changes.partition_point(|change| change.step <= step);
        self.changes[..past].last()
    }
}

/// How many steps a training has made. It is written last, so that all the files that it stands for are complete.
#[derive(Serialize, Deserialize)]
struct Reached {
    step: u64,
    #[serde(alias = "cell")]
    measured: Measurements,
}

fn reached_file(state: &Path) -> PathBuf {
    state.join("reached.json")
}

/// Learns from `start` on. The result has a curve over the steps for each measured value, and the curve
/// `seconds`: the wall time of learning alone, without measuring and saving.
///
/// # Errors
/// Returns an error if a loss or a measured value is not finite, or if the state cannot be read or written.
pub(crate) fn learn(
    start: Dense,
    plan: &Plan<'_>,
    task: &Task<'_>,
) -> Result<(Dense, Measurements)> {
    let mut trainer = Trainer::new(start, plan.update);
    let mut measured = Measurements::default();
    if let Some(reached) = read(&task.state)? {
        let damaged = |error| ExperimentError::damaged(&task.state, error);
        trainer.load(&task.state, reached.step).map_err(damaged)?;
        if let Some(change) = plan.change(reached.step) {
            trainer.set_config(change.model.clone())?;
        }
        measured = reached.measured;
        task.progress.add(reached.step * plan.work);
    }
    let (began, before) = (Instant::now(), measured.seconds);
    let mut spent = measured.curve("seconds").last().map_or(0.0, |p| p[1]);
    let mut saved = Instant::now();
    for step in trainer.steps()..=plan.steps {
        let due = step % plan.every == 0 || step == plan.steps;
        if due && measured.curve("seconds").last().is_none_or(|p| p[0] < step as f64) {
            for (name, value) in (plan.measure)(trainer.model().dictionary().atoms()) {
                let value = task.finite(name, value)?;
                measured.curves.entry(name.into()).or_default().push([step as f64, value]);
            }
            measured.curves.entry("seconds".into()).or_default().push([step as f64, spent]);
        }
        if step == plan.steps {
            break;
        }
        if saved.elapsed() >= task.interval {
            measured.seconds = before + began.elapsed().as_secs_f64();
            save(&task.state, &trainer, &measured)?;
            saved = Instant::now();
        }
        let start = Instant::now();
        if let Some(change) = plan.change(step).filter(|change| change.step == step) {
            trainer.set_config(change.model.clone())?;
        }
        trainer.step(plan.problem.batch(step)?)?;
        spent += start.elapsed().as_secs_f64();
        task.progress.add(plan.work);
    }
    // The caller adds the time since `began`.
    measured.seconds = before;
    Ok((trainer.model(), measured))
}

fn read(state: &Path) -> Result<Option<Reached>> {
    let path = reached_file(state);
    let parse = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes).map_err(|error| ExperimentError::damaged(&path, error))
    };
    folder::read(&path)?.map(parse).transpose()
}

fn save(
    state: &Path,
    trainer: &Trainer<2, DenseDictionary>,
    measured: &Measurements,
) -> Result<()> {
    std::fs::create_dir_all(state).map_err(ExperimentError::io(state))?;
    trainer.save(state)?;
    let step = trainer.steps();
    let reached = Reached { step, measured: measured.clone() };
    let json = serde_json::to_vec(&reached).expect("measured values are finite");
    folder::write(&reached_file(state), &json)?;
    // Older files are not needed any more. A file that cannot be removed now is removed with the folder.
    for entry in std::fs::read_dir(state).map_err(ExperimentError::io(state))?.flatten() {
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|n| n.ends_with(".bpk") && !n.ends_with(&format!("-{step}.bpk")))
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell as Counter;
    use std::time::Duration;

    use burn::tensor::Device;
    use pudle_core::{Backend, DenseConfig, GradientEstimator, Proximal, ThresholdConfig};
    use pudle_data::SparseCodingConfig;
    use pudle_train::UpdateRule;

    use super::*;
    use crate::problem::{Law, model, norm, values};
    use crate::progress::Progress;

    fn problem(device: &Device) -> Problem {
        let config = SparseCodingConfig {
            dim: 8,
            atoms: 12,
            sparsity: 2,
            count: 30,
            batch: 7,
            amplitude: Law::uniform(1.0, 2.0).0,
            noise_sd: 0.0,
            seed: 3,
        };
        Problem::new(config, device).unwrap()
    }

    fn config() -> PudleConfig {
        PudleConfig::dense(DenseConfig { dim: 8, atoms: 12 })
            .with_layers(10)
            .with_step(0.2)
            .with_lambda(0.1)
            .with_gradient(GradientEstimator::AE_LS)
    }

    /// Learns in `state`. A run that `stops` at a measurement ends there as one that is interrupted.
    fn run(state: &Path, update: Update, stop: Option<u64>) -> Option<(Vec<f64>, Measurements)> {
        let device = Device::flex();
        let problem = problem(&device);
        let truth = problem.dictionary();
        let measured = Counter::new(0);
        // β falls at the fourth step, so that a training that goes on has to find the settings again.
        let decaying = ThresholdConfig::decaying(0.1, 0.9);
        let change = Change { step: 4, model: config().with_threshold(decaying) };
        let plan = Plan {
            problem: &problem,
            steps: 12,
            update,
            every: 1,
            changes: match update.rule {
                UpdateRule::Adam => vec![change],
                UpdateRule::Noodl | UpdateRule::Online => vec![],
            },
            measure: &|atoms| {
                measured.set(measured.get() + 1);
                let error = norm(atoms - truth.clone());
                let stopped = stop.is_some_and(|stop| measured.get() > stop);
                vec![("error", if stopped { f64::NAN } else { error })]
            },
            work: 1,
        };
        let task = Task {
            device: &device,
            backend: Backend::Flex,
            progress: &Progress::none(),
            dir: state,
            name: "test".into(),
            state: state.into(),
            interval: Duration::ZERO,
        };
        let start = match update.rule {
            UpdateRule::Noodl => config().with_prox(Proximal::Hard),
            UpdateRule::Adam | UpdateRule::Online => config(),
        };
        let start = model(&start, &problem.near(0.1, 1)).unwrap();
        let (model, cell) = learn(start, &plan, &task).ok()?;
        Some((values(model.dictionary().atoms()), cell))
    }

    #[test]
    fn an_interrupted_training_ends_as_one_in_a_piece() {
        for update in [Update::adam(1e-2), Update::noodl(0.4), Update::online()] {
            let whole = tempfile::tempdir().unwrap();
            let (atoms, cell) = run(whole.path(), update, None).unwrap();
            let pieces = tempfile::tempdir().unwrap();
            assert!(run(pieces.path(), update, Some(7)).is_none());
            assert!(run(pieces.path(), update, Some(2)).is_none());
            let (again, resumed) = run(pieces.path(), update, None).unwrap();
            assert_eq!(atoms, again);
            assert_eq!(cell.curve("error"), resumed.curve("error"));
            let files = std::fs::read_dir(pieces.path()).unwrap().count();
            assert!(files <= 3, "one save is kept");
        }
    }

    #[test]
    fn a_damaged_save_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("reached.json"), "{").unwrap();
        assert!(run(dir.path(), Update::noodl(0.4), None).is_none());
    }
}
