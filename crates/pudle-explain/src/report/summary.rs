//! The figures of an explanation.

use serde::Serialize;

use crate::data::Split;
use crate::explain::Explanation;
use crate::subject::Subject;

/// The number of atoms of the highest energy over which agreement and smallest cosine are taken.
pub const HIGHEST: usize = 100;

/// The explanation of a run in a few figures; `explanation.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the run.
    pub run: String,
    /// Number of training data.
    pub data: usize,
    /// Number of atoms.
    pub atoms: usize,
    /// Number of atoms that some datum uses.
    pub used: usize,
    /// What was added to the diagonal of `Z Zᵀ`.
    pub ridge: String,
    /// `‖D − X G Zᵀ‖ / ‖D‖`.
    pub residual: f64,
    /// The same over used atoms.
    pub residual_of_used: f64,
    /// The root mean square of the atoms' own residuals, weighted by energy.
    pub residual_by_energy: f64,
    /// `‖(D − X G Zᵀ) Z‖ / ‖D Z‖`.
    pub residual_of_outputs: f64,
    /// The gradient along the atoms' spheres over `‖X Zᵀ‖`; 0 at rest.
    pub stationarity_gap: f64,
    /// The smallest cosine between an atom and its estimate among the hundred of the highest energy.
    pub smallest_cosine: f64,
    /// The share of these atoms whose two largest contributors are of one class, if data have classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// The accuracy of a linear classifier on the codes: over training data, over held-out data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<[f64; 2]>,
    /// Seed of the run.
    pub seed: u64,
    /// Version of this program.
    pub version: String,
}

impl Summary {
    pub(crate) fn new(run: &str, seed: u64, subject: &dyn Subject, found: &Explanation) -> Self {
        let identity = &found.identity;
        let highest = found.by_energy.iter().take(HIGHEST).filter(|j| identity.is_used(**j));
        let cosines = highest.map(|j| identity.cosine(*j));
        let labels = subject.labels(Split::Training);
        Self {
            run: run.into(),
            data: found.encoded.codes.len(),
            atoms: identity.atoms(),
            used: found.uses.iter().filter(|atom| atom.count > 0).count(),
            ridge: identity.ridge().to_string(),
            residual: identity.residual(),
            residual_of_used: identity.residual_of_used(),
            residual_by_energy: identity.residual_by_energy(),
            residual_of_outputs: identity.residual_of_outputs(),
            stationarity_gap: identity.stationarity_gap(),
            smallest_cosine: cosines.fold(f64::INFINITY, f64::min),
            agreement: (!labels.is_empty()).then(|| found.agreement(labels, HIGHEST)),
            accuracy: found.accuracy.map(|accuracy| [accuracy.trained, accuracy.held_out]),
            seed,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Whether the identity holds, in a word: `holds` if the residual of the outputs is below a tenth, `roughly` if it is
    /// below a half.
    pub fn verdict(&self) -> &'static str {
        match self.residual_of_outputs {
            residual if residual < 0.1 => "holds",
            residual if residual < 0.5 => "roughly",
            _ => "does not hold",
        }
    }
}
