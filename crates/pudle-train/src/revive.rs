//! Atoms that are not used start again from the data that are reconstructed worst.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{Dictionary, Pudle};
use pudle_data::{Missing, Opened, Source};

use crate::config::{RunConfig, TrainingConfig};
use crate::data::{DeviceBatch, to_device};
use crate::error::{Result, TrainError};
use crate::frame::{Bank, Directions, Frame, norm, unit};
use crate::moments::{AtomAxis, forget};

/// The most atoms that start again at once.
const MOST_AT_ONCE: usize = 1024;
/// Two new atoms that are closer than this cosine are one.
const SAME: f32 = 0.9;
/// A residual of a smaller norm gives no atom.
const LEAST_NORM: f64 = 1e-6;

/// How unused atoms start again.
pub(crate) struct Reviver {
    /// The batches of training.
    pub source: Arc<dyn Source>,
    /// What a missing number in them means.
    pub missing: Missing,
    /// The first atoms, which never change.
    pub fixed: usize,
    /// Steps without use after which an atom is unused.
    pub window: u64,
    /// Number of steps of the run.
    pub total: u64,
}

/// Atoms that start again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Revival {
    /// Their numbers.
    pub atoms: Vec<usize>,
    /// Their new values, of unit norm.
    pub values: Vec<Vec<f32>>,
    /// Whether each atom of the dictionary is in use.
    pub used: Vec<bool>,
}

/// A revival that waits for the optimiser.
pub(crate) type Pending = Arc<Mutex<Option<Revival>>>;

/// Takes a revival that waits.
pub(crate) fn take(pending: &Pending) -> Option<Revival> {
    pending.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Reviver {
    /// The reviver of a run, if the settings ask for one. A line says if the run is too short for it.
    pub fn of_run(config: &RunConfig, data: &Opened) -> Option<Self> {
        let TrainingConfig {
            revive, unused_window: window, steps: total, fixed_atoms: fixed, ..
        } = config.training;
        if !revive {
            return None;
        }
        if total < 2 * window {
            log::warn!(
                "no atom starts again in a run of {total} steps: that needs at least {}, twice the setting \
                 `training.unused_window`",
                2 * window
            );
        }
        let (source, missing) = (data.training.clone(), config.data.missing());
        Some(Self { source, missing, fixed, window, total })
    }

    /// Whether unused atoms start again after `step`. In the last steps they do not, because new atoms would not be trained.
    pub fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.window) && step + self.window <= self.total
    }

    /// New values for unused atoms, from batches up to that of `step`. `None` if no atom can start again.
    ///
    /// # Errors
    /// Returns an error if data cannot be read.
    pub fn revival<const D: usize, A: Dictionary<D>>(
        &self,
        model: &Pudle<D, A>,
        unused: &[usize],
        step: u64,
        device: &Device,
    ) -> Result<Option<Revival>> {
        let mut atoms: Vec<usize> =
            unused.iter().copied().filter(|atom| *atom >= self.fixed).take(MOST_AT_ONCE).collect();
        if atoms.is_empty() {
            return Ok(None);
        }
        let nonnegative = model.config().nonnegative;
        let mut pool = Pool::default();
        // Batch k is that of step k + 1. The last batches are tried first.
        for k in (step.saturating_sub(self.window)..step).rev() {
            let batch = to_device::<D>(self.source.batch(k)?, None, self.missing, device);
            pool.add(model, batch);
            if pool.candidates.len() >= 2 * atoms.len() {
                break;
            }
        }
        let values = pool.worst(atoms.len(), nonnegative);
        atoms.truncate(values.len());
        let mut used = vec![true; model.dictionary().count()];
        unused.iter().for_each(|atom| used[*atom] = false);
        Ok((!atoms.is_empty()).then_some(Revival { atoms, values, used }))
    }
}

/// Residuals of data.
#[derive(Default)]
struct Pool {
    /// Norm and values of each.
    candidates: Vec<(f64, Vec<f32>)>,
    /// The data that are known.
    seen: HashSet<u64>,
}

impl Pool {
    /// Adds the residuals of a batch: of each vector, or under atoms side by side.
    fn add<const D: usize, A: Dictionary<D>>(
        &mut self,
        model: &Pudle<D, A>,
        batch: DeviceBatch<D>,
    ) {
        let given = batch.given_objective(model);
        let DeviceBatch { input, target, noise, mask, .. } = batch;
        let objective = match given {
            Some(objective) => objective,
            None => model.covered_objective(input, target.clone(), &noise),
        };
        let residual = target.clone() - objective.reconstruction;
        let residual = match mask {
            Some(mask) => residual * mask,
            None => residual,
        };
        let frame = Frame::new(&model.config().dictionary, &target.dims());
        let numbers = |tensor: Tensor<D>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
        let (target, residual) = (numbers(target), numbers(residual));
        for (datum, residual) in target.chunks(frame.len()).zip(residual.chunks(frame.len())) {
            let mut hash = DefaultHasher::new();
            datum.iter().for_each(|value| value.to_bits().hash(&mut hash));
            if !self.seen.insert(hash.finish()) {
                continue;
            }
            self.candidates.extend(frame.tiles().map(|place| {
                let patch = frame.patch(residual, place);
                (norm(&patch), patch)
            }));
        }
    }

    /// The directions of the `count` largest residuals. Of those that are almost the same, only the largest counts. With
    /// `nonnegative`, only their numbers above zero.
    fn worst(mut self, count: usize, nonnegative: bool) -> Vec<Vec<f32>> {
        // A stable order, so that equal norms do not depend on chance.
        self.candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut worst = Directions::new(SAME, true);
        for (norm, mut values) in self.candidates {
            if worst.found.len() == count {
                break;
            }
            if !norm.is_finite() {
                continue;
            }
            if nonnegative {
                values.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            if let Some(values) = unit(values, LEAST_NORM) {
                worst.add(values);
            }
        }
        worst.found
    }
}

/// The axis that counts atoms in the weight of this path.
fn atom_axis<const D: usize, A: Dictionary<D>>(path: &str) -> Option<usize> {
    match path {
        "gain" => Some(0),
        "threshold.lambda" | "threshold.slope" => Some(1),
        path if path.ends_with(".atoms") => Some(A::ATOM_AXIS),
        _ => None,
    }
}

impl Revival {
    /// The model with the new atoms in every bank. Thresholds and gains of these atoms become the means of those in use, and
    /// so does the norm of the new atoms in banks whose atoms have no unit norm.
    ///
    /// # Errors
    /// Returns an error if a value is not finite.
    pub fn apply<const D: usize, A: Dictionary<D>>(
        &self,
        model: Pudle<D, A>,
    ) -> Result<Pudle<D, A>> {
        let weights = model.weights().into_iter().map(|weight| {
            let shape = weight.values.shape().to_vec();
            let mut values = weight.to_vec();
            if let Some(axis) = atom_axis::<D, A>(&weight.path) {
                let bank = Bank { values: &mut values, shape: &shape, axis };
                if weight.path.ends_with(".atoms") {
                    self.replace_atoms(bank, weight.path == "dictionary.atoms");
                } else {
                    self.replace_numbers(bank);
                }
            }
            (weight.path, TensorData::new(values, shape))
        });
        let weights: Vec<_> = weights.collect();
        model.with_weights(weights).map_err(|error| TrainError::Unsuitable(error.to_string()))
    }

    fn replace_atoms(&self, mut bank: Bank<'_>, unit_norm: bool) {
        let scale = if unit_norm { 1.0 } else { self.mean_of_used(&bank.norms()).unwrap_or(1.0) };
        let scaled = |values: &Vec<f32>| values.iter().map(|v| v * scale as f32).collect();
        let values: Vec<Vec<f32>> = self.values.iter().map(scaled).collect();
        bank.replace(&self.atoms, &values);
    }

    /// Thresholds (in each layer) and gains: without an atom in use, they stay as they are.
    fn replace_numbers(&self, bank: Bank<'_>) {
        let count = bank.shape[bank.axis];
        for row in bank.values.chunks_mut(count) {
            let numbers: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
            if let Some(mean) = self.mean_of_used(&numbers) {
                self.atoms.iter().for_each(|atom| row[*atom] = mean as f32);
            }
        }
    }

    fn mean_of_used(&self, numbers: &[f64]) -> Option<f64> {
        let used = numbers.iter().zip(&self.used).filter(|(_, used)| **used);
        let (sum, count) = used.fold((0.0, 0), |(sum, count), (value, _)| (sum + value, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// The optimiser without its memory of these atoms.
    ///
    /// # Errors
    /// Returns an error if its state cannot be changed.
    pub fn forget<const D: usize, A: Dictionary<D>>(
        &self,
        model: &Pudle<D, A>,
        optimizer: &ModuleOptimizer,
    ) -> Result<ModuleOptimizer> {
        let mut ids =
            Ids::<D, A> { path: Vec::new(), weights: Vec::new(), kind: Default::default() };
        model.visit(&mut ids);
        forget(optimizer, &ids.weights, &self.atoms)
            .map_err(|error| TrainError::Learner(format!("the state of the optimiser: {error}")))
    }
}

/// Collects the parameters that have numbers of atoms.
struct Ids<const D: usize, A> {
    path: Vec<String>,
    weights: Vec<AtomAxis>,
    kind: std::marker::PhantomData<A>,
}

impl<const D: usize, A: Dictionary<D>> ModuleVisitor for Ids<D, A> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const K: usize>(&mut self, param: &Param<Tensor<K>>) {
        if let Some(axis) = atom_axis::<D, A>(&self.path.join(".")) {
            self.weights.push(AtomAxis { id: param.id.val(), axis });
        }
    }
}
