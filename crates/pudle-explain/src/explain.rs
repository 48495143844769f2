//! The explanation of a subject: what its atoms and outputs come from.

use crate::attractors::Attraction;
use crate::classifier::{Accuracy, LabelledCodes, classify};
use crate::contributors::{Contributors, by_code_of_atoms, of_atoms, shares_of_atoms};
use crate::data::{DataKind, Encoded, Input, Split};
use crate::error::{ExplainError, Result, within};
use crate::gather::Gather;
use crate::identity::Identity;
use crate::outputs::{ExplainedInput, Output, OutputRequest, explain_outputs};
use crate::ridge::Ridge;
use crate::subject::Subject;
use crate::subject::events::RecordedEvents;
use crate::usage::{Use, ranked, uses};

/// The settings of an explanation.
#[derive(Clone, Debug)]
pub struct ExplainOptions {
    /// What is added to the diagonal of `Z Zᵀ`.
    pub ridge: Ridge,
    /// Contributors of each kind that are named for an atom or output, 2 to 64.
    pub top: usize,
    /// The inputs whose outputs are explained.
    pub inputs: Vec<Input>,
    /// If data are windows: pixels, `[row, column]`, whose windows are explained in each input. If there are none, three
    /// windows of high contrast, far apart.
    pub pixels: Vec<[usize; 2]>,
    /// Seed of the noise from which attractors are sought.
    pub seed: u64,
}

/// What the pipeline is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The stage.
    pub stage: &'a str,
    /// Batches that are done in this stage.
    pub done: usize,
    /// All batches of this stage; 0 if the stage has none.
    pub total: usize,
}

/// An explanation.
#[derive(Debug)]
pub struct Explanation {
    /// Codes and moments of the training data.
    pub encoded: Encoded,
    /// The identity and its residuals.
    pub identity: Identity,
    /// The contributors to each atom: ranked by `α` if data are whole items, by share if they are windows.
    pub contributors: Vec<Contributors>,
    /// The data that use each atom most, by code; empty if data are windows.
    pub by_code: Vec<Contributors>,
    /// How the training data use each atom.
    pub uses: Vec<Use>,
    /// Atoms by energy, the largest first.
    pub by_energy: Vec<usize>,
    /// Thresholds `λ` of the last layer: one for each atom, or one for all, or none if they depend on the noise.
    pub thresholds: Vec<f32>,
    /// The accuracy of a linear classifier on the codes, if there are classes and held-out data.
    pub accuracy: Option<Accuracy>,
    /// Where the network leads from atoms and noise, if it maps a datum to a datum.
    pub attraction: Option<Attraction>,
    /// The explained outputs.
    pub outputs: Vec<Output>,
    /// The inputs as a whole, if data are windows.
    pub inputs: Vec<ExplainedInput>,
    /// The events of the recording that the model was trained on, if it was one.
    pub events: Option<RecordedEvents>,
}

impl Explanation {
    /// Of the `count` atoms of the highest energy, the share whose two largest contributors are of one class. `labels` are the
    /// classes of the training data.
    pub fn agreement(&self, labels: &[u8], count: usize) -> f64 {
        let label = |contributors: &Contributors, k: usize| {
            contributors.most.get(k).map(|contribution| labels[contribution.datum])
        };
        let atoms = self.highest(count);
        let agree = atoms.iter().filter(|j| {
            let contributors = &self.contributors[**j];
            label(contributors, 0) == label(contributors, 1)
        });
        agree.count() as f64 / atoms.len().max(1) as f64
    }

    /// The smallest cosine between an atom and its estimate, among the `count` atoms of the highest energy.
    pub fn smallest_cosine(&self, count: usize) -> f64 {
        let cosines = self.highest(count).iter().map(|j| self.identity.cosine(*j));
        cosines.fold(f64::INFINITY, f64::min)
    }

    /// The atoms of the highest energy, at most `count`, without those that no datum uses.
    fn highest(&self, count: usize) -> &[usize] {
        let used = self.by_energy.iter().take(count).take_while(|j| self.uses[**j].count > 0);
        &self.by_energy[..used.count()]
    }
}

/// Explains a subject. `progress` is called with each stage, and with each batch of training data.
///
/// # Errors
/// Returns an error if an option is out of range, if an input does not fit the model, if data cannot be read, or if the matrix is
/// singular with this ridge.
pub fn explain(
    subject: &dyn Subject,
    options: &ExplainOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Explanation> {
    check_top(options.top)?;
    // Inputs are checked first, as the pass over all training data takes a while.
    check_inputs(subject, options)?;
    let total = subject.batch_count(Split::Training);
    let name = format!("codes of the training {}", subject.words().data);
    let encoded = subject.encode(Split::Training, &mut |done| {
        progress(Progress { stage: &name, done, total });
    })?;
    let mut stage = |stage: &str| progress(Progress { stage, done: 0, total: 0 });
    stage("the inverse of Z Zᵀ");
    let identity = encoded.identity(subject.dictionary(), options.ridge)?;
    stage("contributions to the atoms");
    let (codes, top) = (&encoded.codes, options.top);
    let (contributors, by_code) = match subject.data_kind() {
        DataKind::Whole => (of_atoms(&identity, codes, top), by_code_of_atoms(codes, top)),
        DataKind::Windows(_) => {
            let gather = Gather { subject, sources: &encoded.sources, top };
            let found = shares_of_atoms(&identity, codes, gather.wanted());
            (found.into_iter().map(|found| gather.gathered(found)).collect(), Vec::new())
        }
    };
    let uses = uses(codes, subject.labels(Split::Training));
    let by_energy = ranked(&uses, |atom| atom.energy);
    stage("contributions to the outputs");
    let request = OutputRequest { inputs: &options.inputs, pixels: &options.pixels, top };
    let (outputs, inputs) = explain_outputs(subject, &identity, &encoded, request)?;
    stage("a classifier on the codes");
    let accuracy = accuracy(subject, &encoded)?;
    stage("attractors");
    let attraction = subject.attraction(options.seed);
    let events = subject.events(&mut |done, total| {
        progress(Progress { stage: "events", done: done as usize, total: total as usize });
    })?;
    Ok(Explanation {
        identity,
        contributors,
        by_code,
        uses,
        by_energy,
        thresholds: subject.thresholds(),
        accuracy,
        attraction,
        outputs,
        inputs,
        events,
        encoded,
    })
}

/// Returns an error if this number of contributors is out of range.
pub(crate) fn check_top(top: usize) -> Result<()> {
    within("top", top, 2, 64)
}

fn check_inputs(subject: &dyn Subject, options: &ExplainOptions) -> Result<()> {
    for input in &options.inputs {
        subject.check_input(input).map_err(ExplainError::of_input(&input.name))?;
        for [row, column] in &options.pixels {
            let (rows, columns) = (input.values.height, input.values.width);
            if *row >= rows || *column >= columns {
                let range = format!(
                    "row,column within the {rows} rows and {columns} columns of {}",
                    input.name
                );
                return Err(ExplainError::range("patch", format!("{row},{column}"), range));
            }
        }
    }
    Ok(())
}

/// How well a classifier on the codes does, if there are classes and held-out data.
fn accuracy(subject: &dyn Subject, encoded: &Encoded) -> Result<Option<Accuracy>> {
    let labels = subject.labels(Split::Training);
    if labels.is_empty() || subject.held_out() == 0 {
        return Ok(None);
    }
    let held_out = subject.encode(Split::HeldOut, &mut |_| ())?;
    let training = LabelledCodes { codes: &encoded.codes, labels };
    let held_out = LabelledCodes { codes: &held_out.codes, labels: subject.labels(Split::HeldOut) };
    Ok(Some(classify(training, held_out, subject.device())))
}
