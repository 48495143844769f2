//! Whether the explanation is true: what it predicts of removing training data, against what training without them does.

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::codes::{Row, SparseCodes};
use crate::contributors::{Contributors, of_atoms, of_outputs};
use crate::data::{Encoded, Input, Split};
use crate::error::{ExplainError, Result, within};
use crate::gather::Gather;
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
/// Most atoms or outputs, and most events that are removed for each, where data are parts of events.
const MOST_CHECKED: usize = 1000;

/// The settings of a removal test.
#[derive(Clone, Debug)]
pub struct RemovalOptions {
    /// Number of atoms, those of the highest energy, and number of outputs, of held-out data, that are tested; at least 4. Where
    /// data are parts of events, atoms are few: each is tested several times, for contributors of lower and lower rank.
    pub checked: usize,
    /// Number of data that are removed for each, at least 1. Where data are parts of events, number of events.
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
    /// Norm of the change that is predicted for removing as many random data of the same class. Where data have no class, it is
    /// the atom with the largest code.
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
    let gather = Gather { subject, sources: &encoded.sources, top: options.removed };
    let atoms = tested_atoms(&gather, &uses, options)?;
    let mut trials = Trials {
        subject,
        retraining,
        training,
        encoded: &encoded,
        identity: &identity,
        base: Retrained::new(retraining.train_without(training, &[])?),
        classes: classes(subject, &encoded),
        gather,
        rng: ChaCha8Rng::seed_from_u64(options.seed),
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
    let labels = subject.labels(Split::Training);
    let most = if labels.is_empty() { MOST_CHECKED } else { subject.atoms() };
    within("checked", options.checked, FEWEST, most)?;
    let held_out = subject.held_out();
    if held_out < FEWEST {
        return Err(ExplainError::Unsuitable(format!(
            "{held_out} {} were held out, but the test needs at least {FEWEST}",
            if labels.is_empty() { "events" } else { subject.words().data }
        )));
    }
    within("checked", options.checked, FEWEST, held_out)?;
    within("steps", training.steps as usize, 1, 1_000_000)?;
    if labels.is_empty() {
        return within("removed", options.removed, 1, MOST_CHECKED);
    }
    let of_class = |class| labels.iter().filter(|label| **label == class).count();
    let smallest = (0..=u8::MAX).map(of_class).filter(|count| *count > 0).min();
    // The control needs as many other data of the class.
    within("removed", options.removed, 1, smallest.unwrap_or(0) / 2)?;
    // A batch may reach over the end of a pass. A smaller one could hold only removed data.
    within("batch", training.batch, 2 * options.removed + 1, labels.len())
}

/// An atom, and how often it has been tested before.
#[derive(Clone, Copy, Debug)]
struct Tested {
    atom: usize,
    before: usize,
}

/// The atoms of the highest energy among those that enough data use. Where data are parts of events, an atom is tested again as
/// long as it has enough events of lower rank.
fn tested_atoms(
    gather: &Gather<'_>,
    uses: &[Use],
    options: &RemovalOptions,
) -> Result<Vec<Tested>> {
    let rounds = if gather.groups() { options.checked } else { 1 };
    let by_energy = ranked(uses, |atom| atom.energy);
    let atoms: Vec<Tested> = (0..rounds)
        .flat_map(|before| by_energy.iter().map(move |atom| Tested { atom: *atom, before }))
        // The control needs as many other events.
        .filter(|Tested { atom, before }| match gather.groups() {
            true => uses[*atom].count >= gather.parts() * (before + 2) * options.removed,
            false => uses[*atom].count > options.removed,
        })
        .take(options.checked)
        .collect();
    if atoms.len() < options.checked {
        let range =
            format!("at most {}, as more than `removed` data have to use an atom", atoms.len());
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
    /// The class of each training datum.
    classes: Vec<usize>,
    gather: Gather<'a>,
    rng: ChaCha8Rng,
    done: usize,
    total: usize,
    progress: &'a mut dyn FnMut(usize, usize),
}

impl Trials<'_> {
    fn atoms(&mut self, atoms: &[Tested], uses: &[Use]) -> Result<Vec<Removal>> {
        let rounds = atoms.iter().map(|tested| tested.before + 1).max().unwrap_or(1);
        let top = rounds * self.gather.top;
        let gather = Gather { top, ..self.gather };
        let contributors = of_atoms(self.identity, &self.encoded.codes, gather.wanted());
        let mut removals = Vec::with_capacity(atoms.len());
        for &Tested { atom: j, before } in atoms {
            let ranked = data(&gather.gathered(contributors[j].clone()));
            let place = before * self.gather.top;
            let named: Vec<usize> = ranked.into_iter().skip(place).take(self.gather.top).collect();
            let named = self.gather.whole(&named);
            let class = if self.gather.groups() { Some(j) } else { uses[j].class().map(|c| c.0) };
            let random = self.random(class, &named);
            let of_named = self.change_of_atom(j, &named)?;
            let of_random = self.change_of_atom(j, &random)?;
            removals.push(Removal::new(j, &of_named, &of_random));
        }
        Ok(removals)
    }

    fn change_of_atom(&mut self, j: usize, without: &[usize]) -> Result<Change> {
        let predicted = along_sphere(&self.predict(without)?[j], self.identity.atom(j));
        let after = self.train(without)?;
        Ok(Change { predicted, actual: difference(after.atom(j), self.base.atom(j)) })
    }

    fn outputs(&mut self, inputs: &[Input]) -> Result<Vec<Removal>> {
        let mut codes = SparseCodes::new(self.identity.atoms())?;
        for input in inputs {
            codes.append(&self.subject.encode_input(input)?.codes);
        }
        let rows: Vec<_> = codes.rows().collect();
        let wanted = self.gather.wanted();
        let contributors = of_outputs(self.identity, &self.encoded.codes, &rows, wanted);
        let mut removals = Vec::with_capacity(inputs.len());
        for (k, (input, contributors)) in inputs.iter().zip(contributors).enumerate() {
            let named = self.gather.whole(&data(&self.gather.gathered(contributors)));
            let class = if self.gather.groups() {
                largest(codes.row(k))
            } else {
                input.label.map(usize::from)
            };
            let random = self.random(class, &named);
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
        let change = self.predict(without)?;
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

    fn predict(&self, without: &[usize]) -> Result<Vec<Vec<f32>>> {
        let targets: Vec<Vec<f32>> =
            without.iter().map(|k| self.retraining.target(*k)).collect::<Result<_>>()?;
        Ok(predict(self.identity, &self.encoded.codes, &targets, without))
    }

    fn train(&mut self, without: &[usize]) -> Result<Retrained> {
        let after = Retrained::new(self.retraining.train_without(self.training, without)?);
        self.done += 1;
        (self.progress)(self.done, self.total);
        Ok(after)
    }

    /// Draws data of a class that are not among `named`.
    fn random(&mut self, class: Option<usize>, named: &[usize]) -> Vec<usize> {
        let alike = |k: &usize| class.is_none_or(|class| self.classes[*k] == class);
        let others: Vec<usize> =
            (0..self.classes.len()).filter(alike).filter(|k| !named.contains(k)).collect();
        let wanted = self.gather.wanted();
        let drawn: Vec<usize> = others.sample(&mut self.rng, wanted).copied().collect();
        self.gather.whole(&self.gather.events(&drawn))
    }
}

/// The class of each training datum: its label, or the atom with its largest code.
fn classes(subject: &dyn Subject, encoded: &Encoded) -> Vec<usize> {
    match subject.labels(Split::Training) {
        [] => encoded.codes.rows().map(|row| largest(row).unwrap_or(0)).collect(),
        labels => labels.iter().map(|label| usize::from(*label)).collect(),
    }
}

/// The atom with the largest code; `None` if all are zero.
fn largest(row: Row<'_>) -> Option<usize> {
    row.iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).map(|(atom, _)| atom)
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
