//! Learning a dictionary step by step, with figures on the way, over interruptions.

use std::path::Path;
use std::time::Instant;

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
            let record = OptimizerRecord::load(&path)
                .map_err(|error| ExperimentError::damaged(&path, error))?;
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
        if saved.elapsed() >= task.interval {
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

    /// Learns in `state`; a run that `stops` at a step ends there as one that is interrupted.
    fn run(state: &Path, update: Update, stop: Option<u64>) -> Option<(Vec<f64>, Cell)> {
        let device = Device::flex();
        let problem = problem(&device);
        let truth = problem.dictionary();
        let measured = Counter::new(0);
        // β falls at the fourth step, so that going on has to find the settings again.
        let settings = |step: u64| {
            let beta = 0.9;
            let decaying = ThresholdConfig::Decaying { lambda: 0.1, beta };
            (step == 4 && update != (Update::Sign { rate: 0.4 }))
                .then(|| config().with_threshold(decaying))
        };
        let plan = Plan {
            problem: &problem,
            steps: 12,
            update,
            every: 1,
            settings: &settings,
            figures: &|atoms| {
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
        let start = match update {
            Update::Sign { .. } => config().with_prox(Proximal::Hard),
            Update::Adam { .. } => config(),
        };
        let start = model(&start, &problem.near(0.1, 1)).unwrap();
        let (model, cell) = learn(start, &plan, &task).ok()?;
        Some((values(model.dictionary().atoms()), cell))
    }

    #[test]
    fn an_interrupted_training_ends_as_one_in_a_piece() {
        let adam = Update::Adam { learning_rate: 1e-2, epsilon: 1e-8 };
        for update in [adam, Update::Sign { rate: 0.4 }] {
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
    fn noodl_by_hand() {
        let device = Device::flex();
        let problem = problem(&device);
        let start = model(&config().with_prox(Proximal::Hard), &problem.near(0.1, 1)).unwrap();
        let x = problem.batch(0).unwrap();
        let (d, z) = (values(start.dictionary().atoms()), values(start.encode(x.clone())));
        let x_values = values(x.clone());
        let moved = values(noodl(start.train(), x, 0.4).valid().dictionary().atoms());
        for i in 0..8 {
            for j in 0..12 {
                let mut gradient = 0.0;
                for b in 0..7 {
                    let z = &z[b * 12..][..12];
                    let fitted: f64 = (0..12).map(|k| d[i * 12 + k] * z[k]).sum();
                    let sign = if z[j] == 0.0 { 0.0 } else { z[j].signum() };
                    gradient += (fitted - x_values[b * 8 + i]) * sign / 7.0;
                }
                let expected = d[i * 12 + j] - 0.4 * gradient;
                assert!((moved[i * 12 + j] - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_damaged_save_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("reached.json"), "{").unwrap();
        assert!(run(dir.path(), Update::Sign { rate: 0.4 }, None).is_none());
    }
}
