//! The learned weights of a model: the one list of them, and everything that goes through it.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::config::PudleConfig;
use crate::dictionary::{Dictionary, map_value, nonnegative_unit_norm, rank_one, unit_norm};
use crate::error::{ConfigError, WeightError};
use crate::model::Pudle;
use crate::weight::{Constraint, Weight};

/// The smallest learned step size.
const SMALLEST_STEP: f64 = 1e-6;

/// Path of the dictionary's atoms.
const ATOMS: &str = "dictionary.atoms";

/// What decides on the constraint of a weight, beside its path.
#[derive(Clone, Copy)]
struct Constraints {
    atom_axis: usize,
    lambda: Constraint,
    nonnegative: bool,
    rank_one: bool,
}

impl Constraints {
    /// What the weight of this path is projected onto.
    fn of(self, path: &str) -> Constraint {
        match path {
            ATOMS if self.nonnegative => Constraint::NonNegativeUnitNorm { axis: self.atom_axis },
            ATOMS if self.rank_one => Constraint::RankOneUnitNorm { axis: self.atom_axis },
            ATOMS => Constraint::UnitNorm { axis: self.atom_axis },
            "threshold.lambda" => self.lambda,
            "step" => Constraint::AtLeast(SMALLEST_STEP),
            "decoder.atoms" | "gain" if self.nonnegative => Constraint::NonNegative,
            "analysis.atoms" | "decoder.atoms" | "gain" | "threshold.slope" => Constraint::None,
            other => unreachable!("the weight \"{other}\" has no constraint"),
        }
    }
}

impl<const D: usize, A: Dictionary<D>> Pudle<D, A> {
    fn constraints(&self) -> Constraints {
        Constraints {
            atom_axis: A::ATOM_AXIS,
            lambda: self.threshold().constraint(),
            nonnegative: self.config().nonnegative,
            rank_one: self.config().rank_one,
        }
    }

    /// The learned weights. Saving, loading, checks, projection and transfer between models go through this list.
    pub fn weights(&self) -> Vec<Weight> {
        let constraints = self.constraints();
        let mut list = List { constraints, path: Vec::new(), weights: Vec::new() };
        self.visit(&mut list);
        list.weights
    }

    /// Checks that every weight is finite and has the sign that its constraint requires.
    ///
    /// # Errors
    /// Returns an error with the first value that is not finite or has the wrong sign, and the path of its weight.
    pub fn check_weights(&self) -> Result<(), WeightError> {
        self.weights().iter().try_for_each(Weight::check)
    }

    /// The model with these values for all of its weights. They are converted to the model's dtype and are outside any
    /// graph.
    ///
    /// # Errors
    /// Returns an error if a weight is missing, has another shape than in the model, or has a value that its
    /// constraint does not allow, or if a tensor is not a weight of the model.
    pub fn with_weights(
        self,
        values: impl IntoIterator<Item = (String, TensorData)>,
    ) -> Result<Self, WeightError> {
        let mut values: HashMap<String, TensorData> = values.into_iter().collect();
        let own = self.weights();
        if let Some(path) =
            values.keys().find(|path| own.iter().all(|weight| weight.path != **path))
        {
            let known: Vec<&str> = own.iter().map(|weight| weight.path.as_str()).collect();
            return Err(WeightError::Unknown { path: path.clone(), known: known.join(", ") });
        }
        for Weight { path, values: own, constraint } in own {
            let Some(given) = values.get(&path) else { return Err(WeightError::Missing { path }) };
            let (found, expected) = (given.shape().to_vec(), own.shape().to_vec());
            if found != expected {
                return Err(WeightError::Shape { path, found, expected });
            }
            Weight { path, values: given.clone(), constraint }.check()?;
        }
        Ok(self.replace(&mut values))
    }

    /// Projection of every weight onto its constraint: atoms of the dictionary of unit norm, learned
    /// `λ ≥ 0`, a learned step > 0. Training calls it after every update.
    pub fn project(self) -> Self {
        let project = Project(self.constraints());
        self.map(&mut AtPaths { path: Vec::new(), change: project })
    }

    /// The model with those weights of another model that both have with the same meaning. `config` has the settings of
    /// the other model.
    ///
    /// * Atoms, gains and a learned step start from those of the other model. If the other model has no separate
    ///   analysis or decoder atoms, those of this model start from the dictionary of the other model.
    /// * Thresholds are used only if both models [learn them alike](crate::ThresholdConfig::learns_alike).
    /// * A dictionary of colour filters can start from a dictionary of grey filters that has no more filters. Each grey
    ///   filter is copied to the three channels with the same total norm, so that noise gives codes of the same size.
    ///   The remaining filters are those of this model.
    ///
    /// # Errors
    /// Returns an error if the atoms have another shape, unless they are grey filters for a dictionary of colour filters.
    pub fn start_from(self, config: &PudleConfig, weights: &[Weight]) -> Result<Self, ConfigError> {
        let own = self.config();
        let (found, expected) = (config.dictionary.shape(), own.dictionary.shape());
        let same_grid = config.dictionary.stride() == own.dictionary.stride();
        if found != expected && !(same_grid && is_grey_for_color(&found, &expected)) {
            return Err(ConfigError::Shape { field: "dictionary.atoms", found, expected });
        }
        let alike = own.threshold.learns_alike(own.layers, &config.threshold, config.layers);
        let known = |path: &str| {
            let same = weights.iter().find(|weight| weight.path == path);
            let dictionary =
                || weights.iter().find(|weight| path.ends_with(".atoms") && weight.path == ATOMS);
            same.or_else(dictionary)
        };
        let mut values: HashMap<String, TensorData> = self
            .weights()
            .into_iter()
            .filter(|weight| alike || !weight.path.starts_with("threshold"))
            .filter_map(|weight| {
                let values = adapted(known(&weight.path)?, &weight)?;
                Some((weight.path, values))
            })
            .collect();
        Ok(self.replace(&mut values))
    }

    /// The model with other values for the weights that `values` has; they have the weight's shape.
    fn replace(self, values: &mut HashMap<String, TensorData>) -> Self {
        self.map(&mut AtPaths { path: Vec::new(), change: Replace(values) })
    }
}

/// Whether atoms of shape `grey` are filters over one channel that can start those of shape `color` over three.
fn is_grey_for_color(grey: &[usize], color: &[usize]) -> bool {
    match (grey, color) {
        ([few, 1, grey @ ..], [many, 3, color @ ..]) => {
            !grey.is_empty() && grey == color && few <= many
        }
        _ => false,
    }
}

/// The values of `known` in the shape of `own`. Values that `known` does not have come from `own`. `None` if the shapes
/// do not fit each other.
fn adapted(known: &Weight, own: &Weight) -> Option<TensorData> {
    let (from, to) = (known.values.shape().to_vec(), own.values.shape().to_vec());
    if from == to {
        return Some(known.values.clone());
    }
    let (known, mut values) = (known.to_vec(), own.to_vec());
    match (&from[..], &to[..]) {
        ([_, 1, axes @ ..], [_, 3, ..]) if is_grey_for_color(&from, &to) => {
            let size = axes.iter().product();
            let filters = values.chunks_exact_mut(3 * size).zip(known.chunks_exact(size));
            for (filter, grey) in filters {
                let spread = grey.iter().map(|value| value / 3f32.sqrt());
                filter.iter_mut().zip(spread.cycle()).for_each(|(value, grey)| *value = grey);
            }
        }
        // One number for each atom, perhaps in each layer.
        ([rows @ .., few], [other_rows @ .., many]) if rows == other_rows && few <= many => {
            let rows = values.chunks_exact_mut(*many).zip(known.chunks_exact(*few));
            rows.for_each(|(row, known)| row[..*few].copy_from_slice(known));
        }
        _ => return None,
    }
    Some(TensorData::new(values, to))
}

/// Collects the weights of a module.
struct List {
    constraints: Constraints,
    path: Vec<String>,
    weights: Vec<Weight>,
}

impl ModuleVisitor for List {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const K: usize>(&mut self, param: &Param<Tensor<K>>) {
        let path = self.path.join(".");
        let constraint = self.constraints.of(&path);
        let values = param.val().inner().into_data();
        self.weights.push(Weight { path, values, constraint });
    }
}

/// A change of a weight's value.
trait Change {
    /// The new value; `None` to leave the weight as it is.
    fn change<const K: usize>(&mut self, path: &str, value: &Tensor<K>) -> Option<Tensor<K>>;
}

/// Changes the weights of a module by their paths, outside any graph.
struct AtPaths<C> {
    path: Vec<String>,
    change: C,
}

impl<C: Change> ModuleMapper for AtPaths<C> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const K: usize>(&mut self, param: Param<Tensor<K>>) -> Param<Tensor<K>> {
        let value = param.val().inner();
        match self.change.change(&self.path.join("."), &value) {
            Some(value) => map_value(param, |_| value),
            None => param,
        }
    }
}

struct Project(Constraints);

impl Change for Project {
    fn change<const K: usize>(&mut self, path: &str, value: &Tensor<K>) -> Option<Tensor<K>> {
        let value = value.clone();
        match self.0.of(path) {
            Constraint::None => None,
            Constraint::NonNegative => Some(value.clamp_min(0.0)),
            Constraint::AtLeast(least) => Some(value.clamp_min(least)),
            Constraint::UnitNorm { axis } => Some(unit_norm(value, axis)),
            Constraint::NonNegativeUnitNorm { axis } => Some(nonnegative_unit_norm(value, axis)),
            Constraint::RankOneUnitNorm { axis } => Some(unit_norm(rank_one(value), axis)),
        }
    }
}

struct Replace<'a>(&'a mut HashMap<String, TensorData>);

impl Change for Replace<'_> {
    fn change<const K: usize>(&mut self, path: &str, value: &Tensor<K>) -> Option<Tensor<K>> {
        let values = self.0.remove(path)?;
        Some(Tensor::from_data(values, (&value.device(), value.dtype())))
    }
}
