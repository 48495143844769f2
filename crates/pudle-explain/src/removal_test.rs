//! Whether the explanation is true: what it predicts of removing training data, against what training without them does.

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::codes::{Row, SparseCodes};
use crate::contributors::{Contributors, of_atoms, of_outputs};
use crate::data::{Encoded, Input, Split};
use crate::error::{ExplainError, Result, within};
use crate::identity::{Identity, combine};
use crate::prediction::{along_sphere, predict};
use crate::removal_run::ContinuedTraining;
use crate::ridge::Ridge;
use crate::statistics::{Correlation, median, rank_correlation};
use crate::subject::{Retraining, Subject};
use crate::usage::{Use, ranked, uses};
use crate::vectors::{cosine, difference, norm};

/// Atoms or outputs below which a correlation says nothing.
const FEWEST: usize = 4;

/// The settings of a removal test.
#[derive(Clone, Debug)]
pub struct RemovalOptions {
    /// Number of atoms, those of the highest energy, and number of outputs, of held-out data, that are tested; at least 4.
    pub checked: usize,
    /// Number of data that are removed for each, at least 1.
    pub removed: usize,
    /// What is added to the diagonal of `Z Zᵀ`.
    pub ridge: Ridge,
    /// Seed of the control's draws. The batches are drawn with the seed of the run.
    pub seed: u64,
}

/// An atom or output, and how much it changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Removal {
    /// Number of the atom, or of the held-out datum.
    pub number: usize,
    /// Norm of the change that is predicted for removing the largest contributors.
    pub predicted: f64,
    /// Norm of the change that training without them made.
    pub actual: f64,
    /// Cosine between the two changes.
    pub cosine: f64,
    /// Norm of the change that is predicted for removing as many random data of the same class.
    pub predicted_of_random: f64,
    /// Norm of the change that training without those made.
    pub actual_of_random: f64,
}

/// The result for atoms, or for outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Faithfulness {
    /// Each of them.
    pub removals: Vec<Removal>,
    /// Predicted against actual change when the largest contributors are removed.
    pub faithful: Correlation,
    /// The control: the same prediction against the change when random data are removed.
    pub control: Correlation,
    /// The prediction for the random data against the change when they are removed.
    pub of_random: Correlation,
    /// The median cosine of predicted and actual change.
    pub cosine: f64,
    /// The median ratio of the actual changes: largest contributors over random data.
    pub ratio: f64,
}

/// The result of a removal test; `check.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RemovalTest {
    /// Data that were removed for each atom and output.
    pub removed: usize,
    /// Steps for which training continued.
    pub steps: u64,
    /// Data in each step.
    pub batch: usize,
    /// The atoms.
    pub atoms: Faithfulness,
    /// The outputs of held-out data.
    pub outputs: Faithfulness,
}

/// A change of an atom or output, as predicted and as training made it.
struct Change {
    predicted: Vec<f32>,
    actual: Vec<f32>,
}

/// Continues training without the data that the explanation names, and compares the result with its prediction.
///
/// Each training starts from the same weights with a fresh optimiser and draws the same batches. It differs from the training
/// that all are compared with only in the removed data. The prediction is the identity's for fixed codes,
/// `ΔD = −(X_S − D Z_S)(I − Z_SᵀB Z_S)⁻¹ Z_SᵀB` for removed data `S`, along each atom's sphere. `progress` is called after each
/// training with the number of trainings so far and of all.
///
/// # Errors
/// Returns an error if an option is out of range, if the subject's training cannot continue without some of its data, or if the run
/// cannot be read or trained further.
pub fn removal_test(
    subject: &dyn Subject,
    training: &ContinuedTraining,
    options: &RemovalOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RemovalTest> {
    let Some(retraining) = subject.retraining() else {
        return Err(ExplainError::NoRemovalTest(subject.words().data));
    };
    check_options(subject, training, options)?;
    let encoded = subject.encode(Split::Training, &mut |_| ())?;
    let identity = encoded.identity(subject.dictionary(), options.ridge)?;
    let uses = uses(&encoded.codes, subject.labels(Split::Training));
    let atoms = tested_atoms(&uses, options)?;
    let mut trials = Trials {
        subject,
        retraining,
        training,
        encoded: &encoded,
        identity: &identity,
        base: Retrained::new(retraining.train_without(training, &[])?),
        rng: ChaCha8Rng::seed_from_u64(options.seed),
        removed: options.removed,
        done: 1,
        total: 2 * (atoms.len() + options.checked) + 1,
        progress,
    };
    (trials.progress)(trials.done, trials.total);
    let of_atoms = trials.atoms(&atoms, &uses)?;
    let of_outputs = trials.outputs(&subject.held_out_inputs(options.checked))?;
    Ok(RemovalTest {
        removed: options.removed,
        steps: training.steps,
        batch: training.batch,
        atoms: Faithfulness::new(of_atoms),
        outputs: Faithfulness::new(of_outputs),
    })
}

fn check_options(
    subject: &dyn Subject,
    training: &ContinuedTraining,
    options: &RemovalOptions,
) -> Result<()> {
    within("checked", options.checked, FEWEST, subject.atoms())?;
    within("checked", options.checked, FEWEST, subject.held_out().max(1))?;
    let labels = subject.labels(Split::Training);
    let of_class = |class| labels.iter().filter(|label| **label == class).count();
    let smallest = (0..=u8::MAX).map(of_class).filter(|count| *count > 0).min();
    // The control needs as many other data of the class.
    within("removed", options.removed, 1, smallest.unwrap_or(0) / 2)?;
    // A batch may reach over the end of a pass. A smaller one could hold only removed data.
    within("batch", training.batch, 2 * options.removed + 1, labels.len())?;
    within("steps", training.steps as usize, 1, 1_000_000)
}

/// The atoms of the highest energy among those that enough data use.
fn tested_atoms(uses: &[Use], options: &RemovalOptions) -> Result<Vec<usize>> {
    let atoms: Vec<usize> = ranked(uses, |atom| atom.energy)
        .into_iter()
        .filter(|j| uses[*j].count > options.removed)
        .take(options.checked)
        .collect();
    if atoms.len() < options.checked {
        let range = format!("at most {}, the atoms that more than `removed` data use", atoms.len());
        return Err(ExplainError::range("checked", options.checked, range));
    }
    Ok(atoms)
}

/// Trainings that continue from one model.
struct Trials<'a> {
    subject: &'a dyn Subject,
    retraining: &'a dyn Retraining,
    training: &'a ContinuedTraining,
    encoded: &'a Encoded,
    identity: &'a Identity,
    /// Where training with all data ends.
    base: Retrained,
    rng: ChaCha8Rng,
    removed: usize,
    done: usize,
    total: usize,
    progress: &'a mut dyn FnMut(usize, usize),
}

impl Trials<'_> {
    fn atoms(&mut self, atoms: &[usize], uses: &[Use]) -> Result<Vec<Removal>> {
        let contributors = of_atoms(self.identity, &self.encoded.codes, self.removed);
        let mut removals = Vec::with_capacity(atoms.len());
        for &j in atoms {
            let named = data(&contributors[j]);
            let random = self.random(uses[j].class().map(|(class, _)| class), &named);
            let of_named = self.change_of_atom(j, &named)?;
            let of_random = self.change_of_atom(j, &random)?;
            removals.push(Removal::new(j, &of_named, &of_random));
        }
        Ok(removals)
    }

    fn change_of_atom(&mut self, j: usize, without: &[usize]) -> Result<Change> {
        let predicted = along_sphere(&self.predict(without)[j], self.identity.atom(j));
        let after = self.train(without)?;
        Ok(Change { predicted, actual: difference(after.atom(j), self.base.atom(j)) })
    }

    fn outputs(&mut self, inputs: &[Input]) -> Result<Vec<Removal>> {
        let mut codes = SparseCodes::new(self.identity.atoms())?;
        for input in inputs {
            codes.append(&self.subject.encode_input(input)?.codes);
        }
        let rows: Vec<_> = codes.rows().collect();
        let contributors = of_outputs(self.identity, &self.encoded.codes, &rows, self.removed);
        let mut removals = Vec::with_capacity(inputs.len());
        for (k, (input, contributors)) in inputs.iter().zip(&contributors).enumerate() {
            let named = data(contributors);
            let random = self.random(input.label.map(usize::from), &named);
            let of_named = self.change_of_output(input, codes.row(k), &named)?;
            let of_random = self.change_of_output(input, codes.row(k), &random)?;
            removals.push(Removal::new(input.number.unwrap_or(k), &of_named, &of_random));
        }
        Ok(removals)
    }

    fn change_of_output(
        &mut self,
        input: &Input,
        code: Row<'_>,
        without: &[usize],
    ) -> Result<Change> {
        let change = self.predict(without);
        let mut predicted = vec![0.0; input.values.data.len()];
        for (atom, value) in code.iter() {
            let moved = along_sphere(&change[atom], self.identity.atom(atom));
            predicted.iter_mut().zip(moved).for_each(|(p, m)| *p += value * m);
        }
        let after = self.train(without)?;
        Ok(Change {
            predicted,
            actual: difference(&after.output(input)?, &self.base.output(input)?),
        })
    }

    fn predict(&self, without: &[usize]) -> Vec<Vec<f32>> {
        predict(self.identity, &self.encoded.codes, |k| self.retraining.target(k), without)
    }

    fn train(&mut self, without: &[usize]) -> Result<Retrained> {
        let after = Retrained::new(self.retraining.train_without(self.training, without)?);
        self.done += 1;
        (self.progress)(self.done, self.total);
        Ok(after)
    }

    /// Draws data of a class that are not among `named`.
    fn random(&mut self, class: Option<usize>, named: &[usize]) -> Vec<usize> {
        let labels = self.subject.labels(Split::Training);
        let alike = |k: &usize| class.is_none_or(|class| usize::from(labels[*k]) == class);
        let others: Vec<usize> =
            (0..labels.len()).filter(alike).filter(|k| !named.contains(k)).collect();
        others.sample(&mut self.rng, self.removed).copied().collect()
    }
}

/// A subject under the model that a training ended at.
struct Retrained {
    subject: Box<dyn Subject>,
    dictionary: Vec<f32>,
}

impl Retrained {
    fn new(subject: Box<dyn Subject>) -> Self {
        let dictionary = subject.dictionary();
        Self { subject, dictionary }
    }

    fn atom(&self, j: usize) -> &[f32] {
        let dim = self.subject.dim();
        &self.dictionary[j * dim..(j + 1) * dim]
    }

    fn output(&self, input: &Input) -> Result<Vec<f32>> {
        let encoded = self.subject.encode_input(input)?;
        Ok(combine(&self.dictionary, self.subject.dim(), encoded.codes.row(0)))
    }
}

impl Removal {
    fn new(number: usize, of_named: &Change, of_random: &Change) -> Self {
        Self {
            number,
            predicted: f64::from(norm(&of_named.predicted)),
            actual: f64::from(norm(&of_named.actual)),
            cosine: cosine(&of_named.predicted, &of_named.actual),
            predicted_of_random: f64::from(norm(&of_random.predicted)),
            actual_of_random: f64::from(norm(&of_random.actual)),
        }
    }
}

impl Faithfulness {
    fn new(removals: Vec<Removal>) -> Self {
        let pick = |figure: fn(&Removal) -> f64| removals.iter().map(figure).collect::<Vec<_>>();
        let (predicted, actual) = (pick(|r| r.predicted), pick(|r| r.actual));
        let (of_random, random) = (pick(|r| r.predicted_of_random), pick(|r| r.actual_of_random));
        let ratio = pick(|r| r.actual / r.actual_of_random.max(f64::MIN_POSITIVE));
        Self {
            faithful: rank_correlation(&predicted, &actual),
            control: rank_correlation(&predicted, &random),
            of_random: rank_correlation(&of_random, &random),
            cosine: median(pick(|r| r.cosine)),
            ratio: median(ratio),
            removals,
        }
    }
}

/// Numbers of the largest contributors.
fn data(contributors: &Contributors) -> Vec<usize> {
    contributors.most.iter().map(|c| c.datum).collect()
}
