//! Learning a dictionary step by step, with figures on the way, over interruptions.

use std::path::Path;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::Tensor;
use pudle_core::{Dictionary, PudleConfig};
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::experiment::{Cell, Task};
use crate::folder;
use crate::problem::{Dense, Problem};

/// Time between two saves.
const INTERVAL: Duration = Duration::from_secs(20);

/// How a step changes the dictionary; atoms are scaled to unit norm after each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Update {
    /// Adam (β = 0.9, 0.999) on the gradient of the model's own estimator.
    Adam { learning_rate: f64, epsilon: f64 },
    /// `D ← D − η mean_b[(D z − x) sign(z)ᵀ]`, the update of NOODL (Rambhatla, Li & Haupt, ICLR 2019).
    Sign { rate: f64 },
}

/// What is learned from, and how.
pub(crate) struct Plan<'a> {
    pub problem: &'a Problem,
    pub steps: u64,
    pub update: Update,
    /// Steps from one set of figures to the next.
    pub every: u64,
    /// Settings of the model from a step on, where they change at it.
    pub settings: &'a dyn Fn(u64) -> Option<PudleConfig>,
    /// What is measured of a dictionary, by name.
    pub figures: &'a dyn Fn(Tensor<2>) -> Vec<(&'static str, f64)>,
    /// Work of a step.
    pub work: u64,
}

/// How far a training is; named last, so that all it names is whole.
#[derive(Serialize, Deserialize)]
struct Reached {
    step: u64,
    cell: Cell,
}

fn reached_file(state: &Path) -> std::path::PathBuf {
    state.join("reached.json")
}

/// Learns from `start` on. The cell has the figures as curves over steps, and the curve `seconds`, the wall
/// time of learning alone, without figures and saves.
///
/// # Errors
/// Where a figure is no finite number, or the state cannot be written.
pub(crate) fn learn(start: Dense, plan: &Plan<'_>, task: &Task<'_>) -> Result<(Dense, Cell)> {
    let config = start.config().clone();
    let mut model = start.train();
    let mut adam: Option<(ModuleOptimizer, f64)> = match plan.update {
        Update::Adam { learning_rate, epsilon } => {
            Some((AdamConfig::new().with_epsilon(epsilon as f32).init(), learning_rate))
        }
        Update::Sign { .. } => None,
    };
    let mut cell = Cell::default();
    let mut first = 0;
    if let Some(reached) = read(&task.state)? {
        let file = |part: &str| task.state.join(format!("{part}-{}.bpk", reached.step));
        let path = file("model");
        let record =
            ModuleRecord::load(&path).map_err(|error| ExperimentError::damaged(&path, error))?;
        model = model.load_record(record);
        if let Some((optimizer, rate)) = adam {
            let path = file("optim");
            let record =
                OptimizerRecord::load(&path).map_err(|error| ExperimentError::damaged(&path, error))?;
            adam = Some((optimizer.load_record(record), rate));
        }
        (first, cell) = (reached.step, reached.cell);
        // The last change of settings before that step.
        let settings = (0..=first).rev().find_map(plan.settings);
        model = model.with_config(settings.unwrap_or(config))?;
        task.progress.add(first * plan.work);
    }
    let (began, before) = (Instant::now(), cell.seconds);
    let mut spent = cell.curve("seconds").last().map_or(0.0, |p| p[1]);
    let mut saved = Instant::now();
    for step in first..=plan.steps {
        let measured = step % plan.every == 0 || step == plan.steps;
        if measured && cell.curve("seconds").last().is_none_or(|p| p[0] < step as f64) {
            for (name, value) in (plan.figures)(model.dictionary().atoms().inner()) {
                let value = task.finite(name, value)?;
                cell.curves.entry(name.into()).or_default().push([step as f64, value]);
            }
            cell.curves.entry("seconds".into()).or_default().push([step as f64, spent]);
        }
        if step == plan.steps {
            break;
        }
        if saved.elapsed() >= INTERVAL {
            cell.seconds = before + began.elapsed().as_secs_f64();
            save(&task.state, &model, adam.as_ref().map(|adam| &adam.0), step, &cell)?;
            saved = Instant::now();
        }
        let start = Instant::now();
        if let Some(settings) = (plan.settings)(step) {
            model = model.with_config(settings)?;
        }
        let x = plan.problem.batch(step)?;
        model = match (&mut adam, plan.update) {
            (Some((optimizer, rate)), _) => {
                let x = x.autodiff();
                let grads = model.objective(x.clone(), x).loss.backward();
                let grads = GradientsParams::from_grads(grads, &model);
                optimizer.step(*rate, model, grads)
            }
            (None, Update::Sign { rate }) => noodl(model, x, rate),
            (None, Update::Adam { .. }) => unreachable!("made above"),
        }
        .project();
        spent += start.elapsed().as_secs_f64();
        task.progress.add(plan.work);
    }
    // The time since then is added by whoever runs the part.
    cell.seconds = before;
    Ok((model.valid(), cell))
}

/// One update of NOODL on data `x`.
fn noodl(model: Dense, x: Tensor<2>, rate: f64) -> Dense {
    let plain = model.valid();
    let code = plain.encode(x.clone());
    let residual = plain.decode(code.clone(), x.dims()) - x.clone();
    let direction = residual.transpose().matmul(code.sign()) / x.dims()[0] as f64;
    model.map_atoms(|atoms| atoms - direction * rate)
}

fn read(state: &Path) -> Result<Option<Reached>> {
    let path = reached_file(state);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ExperimentError::damaged(&path, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ExperimentError::io(&path)(error)),
    }
}

fn save(
    state: &Path,
    model: &Dense,
    optimizer: Option<&ModuleOptimizer>,
    step: u64,
    cell: &Cell,
) -> Result<()> {
    std::fs::create_dir_all(state).map_err(ExperimentError::io(state))?;
    let file = |part: &str| state.join(format!("{part}-{step}.bpk"));
    let failed = |error: burn::store::RecordError| {
        ExperimentError::io(state)(std::io::Error::other(error.to_string()))
    };
    model.clone().into_record().save(file("model")).map_err(failed)?;
    if let Some(optimizer) = optimizer {
        optimizer.to_record().save(file("optim")).map_err(failed)?;
    }
    let reached = Reached { step, cell: cell.clone() };
    let json = serde_json::to_vec(&reached).expect("figures are finite");
    folder::write(&reached_file(state), &json)?;
    // Older saves are of no use any more; what cannot be removed goes with the folder.
    for entry in std::fs::read_dir(state).map_err(ExperimentError::io(state))?.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.ends_with(".bpk") && !n.ends_with(&format!("-{step}.bpk"))) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
