//! Whether the explanation is true: what it predicts of removing training data against what training without them does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use burn::tensor::Device;
use nalgebra::DMatrix;
use pudle_core::Dictionary;
use pudle_train::{
    AnyPudle, Checkpoint, Initialization, LearningRateSchedule, RunConfig, TrainError,
    train_watched,
};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::codes::SparseCodes;
use crate::contributors::{Contributors, of_atoms, of_outputs};
use crate::digits::norm;
use crate::error::{ExplainError, Result};
use crate::identity::{Identity, Ridge, cosine};
use crate::subject::DigitModel;
use crate::usage::{ranked, uses};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Atoms of the highest energy that are checked, at least 4 (of fewer no correlation says anything).
    pub atoms: usize,
    /// Held-out digits whose outputs are checked, at least 4.
    pub outputs: usize,
    /// Digits that are removed for each, at least 1.
    pub removed: usize,
    /// Steps that training goes on for, with and without them.
    pub steps: u64,
    /// Data of each step, at least 1.
    pub batch: usize,
    /// What is added to the diagonal of `Z Zᵀ`.
    pub ridge: Ridge,
    /// Seed of the control's draws; that of the batches is the run's.
    pub seed: u64,
}

/// An atom or output, and how much it changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Removal {
    /// Number of the atom, or of the held-out digit.
    pub number: usize,
    /// Size of the change that is predicted of removing its largest contributors.
    pub predicted: f64,
    /// Size of the change that training without them made.
    pub actual: f64,
    /// Cosine between the two changes.
    pub cosine: f64,
    /// Size of the change that is predicted of removing as many random digits of the same class.
    pub predicted_of_random: f64,
    /// Size of the change that training without those made.
    pub actual_of_random: f64,
}

/// A rank correlation (Spearman's) with a 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// The correlation.
    pub rho: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What a kind of thing (atoms or outputs) showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Faithfulness {
    /// Each of them.
    pub removals: Vec<Removal>,
    /// Predicted against actual change, the largest contributors removed.
    pub faithful: Correlation,
    /// The control: the same prediction against the change that removing random digits made.
    pub control: Correlation,
    /// The prediction for the random digits against the change that removing them made.
    pub of_random: Correlation,
    /// The median cosine of predicted and actual change.
    pub cosine: f64,
    /// The median of actual change by the largest contributors over that by random digits.
    pub ratio: f64,
}

/// Both kinds; `check.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Digits that were removed for each.
    pub removed: usize,
    /// Steps that training went on for.
    pub steps: u64,
    /// Data of each step.
    pub batch: usize,
    /// Atoms.
    pub atoms: Faithfulness,
    /// Outputs of held-out digits.
    pub outputs: Faithfulness,
}

/// Goes on training from the model of `dir` without the digits that the explanation names, and compares.
///
/// Each training starts from the same weights with a fresh optimiser, draws the same batches, and differs from the one that all are
/// compared with in the removed digits alone. The prediction is the identity's with codes held fixed,
/// `ΔD = −(X_S − D Z_S)(I − Z_SᵀB Z_S)⁻¹ Z_SᵀB` for removed digits `S`, along each atom's sphere.
///
/// # Errors
/// Options out of range, a run that cannot be read or trained on.
pub fn check(
    subject: &DigitModel,
    config: &RunConfig,
    dir: &Path,
    options: &CheckOptions,
    device: &Device,
    mut progress: impl FnMut(usize, usize),
) -> Result<Check> {
    let trained = subject.trained();
    within("checked", options.atoms, 4, subject.model().dictionary().count())?;
    within("checked", options.outputs, 4, subject.kept().len().max(1))?;
    let labels = &subject.digits().labels()[trained.clone()];
    let smallest =
        (0..=9u8).map(|c| labels.iter().filter(|l| **l == c).count()).filter(|n| *n > 0).min();
    // A class has to have as many again for the control.
    within("removed", options.removed, 1, smallest.unwrap_or(0) / 2)?;
    // Else a batch, which may reach over the end of a pass, could hold removed digits alone.
    within("batch", options.batch, 2 * options.removed + 1, trained.len())?;
    within("steps", options.steps as usize, 1, 1_000_000)?;
    let encoded = subject.encode_digits(trained.clone())?;
    let identity = encoded.identity(subject.dictionary(), options.ridge)?;
    let uses = uses(&encoded.codes, labels);
    let atoms: Vec<usize> = ranked(&uses, |atom| atom.energy)
        .into_iter()
        .filter(|j| uses[*j].count > options.removed)
        .take(options.atoms)
        .collect();
    if atoms.len() < options.atoms {
        let range =
            format!("at most {}, the atoms that more than `removed` digits use", atoms.len());
        return Err(ExplainError::range("checked", options.atoms, range));
    }
    let trials = Trials { subject, config, dir, options, device };
    let offset = subject.model().config().offset as f32;
    let target = |k: usize| -> Vec<f32> {
        let pixels = subject.digits().pixels(trained.start + k).expect("a digit that there is");
        pixels.into_iter().map(|value| value - offset).collect()
    };
    let total = 2 * (atoms.len() + options.outputs) + 1;
    let mut done = 0;
    let mut told = || {
        done += 1;
        progress(done, total);
    };
    let base = trials.train(&[])?;
    told();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut control = |class: Option<usize>, named: &[usize]| {
        let alike = |k: &usize| class.is_none_or(|class| usize::from(labels[*k]) == class);
        let others: Vec<usize> =
            (0..labels.len()).filter(alike).filter(|k| !named.contains(k)).collect();
        others.sample(&mut rng, options.removed).copied().collect::<Vec<_>>()
    };
    let named = |contributors: &Contributors| -> Vec<usize> {
        contributors.most.iter().map(|c| c.datum).collect()
    };

    let mut of_each_atom = Vec::with_capacity(atoms.len());
    let contributors = of_atoms(&identity, &encoded.codes, options.removed);
    for &j in &atoms {
        let change = |without: &[usize]| -> Result<(Vec<f32>, Vec<f32>)> {
            let predicted = predict(&identity, &encoded.codes, target, without);
            let predicted = along_sphere(&predicted[j], identity.atom(j));
            let after = trials.train(without)?;
            Ok((predicted, difference(after.atom(j), base.atom(j))))
        };
        let most = named(&contributors[j]);
        let random = control(uses[j].class().map(|(class, _)| class), &most);
        of_each_atom.push(removal(j, change(&most)?, change(&random)?));
        told();
        told();
    }

    let kept = subject.kept();
    let numbers: Vec<usize> =
        (0..options.outputs).map(|k| kept.start + k * kept.len() / options.outputs).collect();
    let mut codes = SparseCodes::new(identity.atoms())?;
    for number in &numbers {
        let pixels = subject.digits().pixels(*number).expect("a digit that there is");
        codes.push(subject.encode(&pixels).into_iter());
    }
    let rows: Vec<_> = codes.rows().collect();
    let contributors = of_outputs(&identity, &encoded.codes, &rows, options.removed);
    let mut of_each_output = Vec::with_capacity(numbers.len());
    for ((number, row), contributors) in numbers.iter().zip(&rows).zip(&contributors) {
        let pixels = subject.digits().pixels(*number).expect("a digit that there is");
        let before = base.output(&pixels);
        let change = |without: &[usize]| -> Result<(Vec<f32>, Vec<f32>)> {
            let change = predict(&identity, &encoded.codes, target, without);
            let mut predicted = vec![0.0; pixels.len()];
            for (atom, value) in row.iter() {
                let moved = along_sphere(&change[atom], identity.atom(atom));
                predicted.iter_mut().zip(moved).for_each(|(p, m)| *p += value * m);
            }
            let after = trials.train(without)?;
            Ok((predicted, difference(&after.output(&pixels), &before)))
        };
        let most = named(contributors);
        let class = usize::from(subject.digits().labels()[*number]);
        let random = control(Some(class), &most);
        of_each_output.push(removal(*number, change(&most)?, change(&random)?));
        told();
        told();
    }
    Ok(Check {
        removed: options.removed,
        steps: options.steps,
        batch: options.batch,
        atoms: Faithfulness::new(of_each_atom),
        outputs: Faithfulness::new(of_each_output),
    })
}

fn within(field: &'static str, value: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(ExplainError::range(field, value, format!("between {low} and {high}")))
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// A change without its part along the atom, which unit norm does not allow.
fn along_sphere(change: &[f32], atom: &[f32]) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let along = dot(change, atom) / dot(atom, atom).max(f32::MIN_POSITIVE);
    change.iter().zip(atom).map(|(c, a)| c - along * a).collect()
}

fn removal(
    number: usize,
    (predicted, actual): (Vec<f32>, Vec<f32>),
    (predicted_of_random, actual_of_random): (Vec<f32>, Vec<f32>),
) -> Removal {
    Removal {
        number,
        cosine: cosine(&predicted, &actual),
        predicted: f64::from(norm(&predicted)),
        actual: f64::from(norm(&actual)),
        predicted_of_random: f64::from(norm(&predicted_of_random)),
        actual_of_random: f64::from(norm(&actual_of_random)),
    }
}

/// What the identity says that each atom changes by where these data are removed, codes held fixed; `target` gives a datum.
fn predict(
    identity: &Identity,
    codes: &SparseCodes,
    target: impl Fn(usize) -> Vec<f32>,
    without: &[usize],
) -> Vec<Vec<f32>> {
    let (s, p) = (without.len(), identity.atoms());
    // Rows of Z_SᵀB, and what each removed datum leaves unexplained.
    let mut shares = DMatrix::<f64>::zeros(s, p);
    let mut residuals: Vec<Vec<f32>> = Vec::with_capacity(s);
    for (i, &k) in without.iter().enumerate() {
        let row = codes.row(k);
        let of_each_atom = identity.shares(row);
        (0..p).for_each(|j| shares[(i, j)] = of_each_atom[j]);
        residuals.push(difference(&target(k), &identity.output(row)));
    }
    let mut own = DMatrix::<f64>::identity(s, s);
    for (l, &k) in without.iter().enumerate() {
        for (atom, value) in codes.row(k).iter() {
            (0..s).for_each(|i| own[(i, l)] -= shares[(i, atom)] * f64::from(value));
        }
    }
    // Data that alone use an atom leave nothing to predict it from; the plain first order is then all there is.
    let weights = own.lu().solve(&shares).unwrap_or(shares);
    let dim = residuals.first().map_or(0, Vec::len);
    (0..p)
        .map(|j| {
            let mut change = vec![0.0f32; dim];
            for (i, residual) in residuals.iter().enumerate() {
                let weight = weights[(i, j)] as f32;
                change.iter_mut().zip(residual).for_each(|(c, r)| *c -= weight * r);
            }
            change
        })
        .collect()
}

/// Trainings that go on from one model.
struct Trials<'a> {
    subject: &'a DigitModel,
    config: &'a RunConfig,
    dir: &'a Path,
    options: &'a CheckOptions,
    device: &'a Device,
}

/// The model that one of them ended at.
struct Trained {
    subject: DigitModel,
    atoms: Vec<f32>,
}

impl Trained {
    fn atom(&self, j: usize) -> &[f32] {
        let dim = self.subject.digits().height() * self.subject.digits().width();
        &self.atoms[j * dim..(j + 1) * dim]
    }

    fn output(&self, pixels: &[f32]) -> Vec<f32> {
        let mut output = vec![0.0; pixels.len()];
        for (code, atom) in
            self.subject.encode(pixels).iter().zip(self.atoms.chunks_exact(pixels.len()))
        {
            if *code != 0.0 {
                output.iter_mut().zip(atom).for_each(|(o, a)| *o += code * a);
            }
        }
        output
    }
}

impl Trials<'_> {
    fn train(&self, without: &[usize]) -> Result<Trained> {
        let place =
            tempfile::tempdir().map_err(ExplainError::io(Path::new("a temporary folder")))?;
        let mut config = self.config.clone();
        let mut without = without.to_vec();
        without.sort_unstable();
        config.data.set_without(without).map_err(TrainError::from)?;
        let training = &mut config.training;
        training.initialization = Initialization::Checkpoint { dir: self.dir.to_path_buf() };
        training.steps = self.options.steps;
        training.batch = self.options.batch;
        training.schedule = LearningRateSchedule::Cosine;
        training.warm_up = (self.options.steps / 16).min(50);
        training.checkpoint_every = self.options.steps;
        training.valid_every = u64::MAX;
        let dir = place.path().join("run");
        train_watched(config, &dir, Arc::new(AtomicU64::new(0)))?;
        let AnyPudle::Dense(model) = Checkpoint::read(&dir, self.device)?.model else {
            unreachable!("the model that was trained on is dense")
        };
        let subject = self.subject.with_model(model);
        let atoms = subject.dictionary();
        Ok(Trained { subject, atoms })
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Ranks from 1, equal values sharing the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for same in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (same.len() as f64 + 1.0) / 2.0;
        same.iter().for_each(|i| ranks[*i] = rank);
        before += same.len();
    }
    ranks
}

/// Spearman's rank correlation, its interval by Fisher's transformation with the variance of Bonett and Wright (2000).
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Correlation {
    let (a, b) = (ranks(a), ranks(b));
    let n = a.len() as f64;
    let mean = (n + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let rho = product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt();
    let reach = 1.96 * ((1.0 + rho * rho / 2.0) / (n - 3.0)).sqrt();
    let end = |by: f64| (rho.atanh() + by).tanh();
    Correlation { rho, low: end(-reach), high: end(reach) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removing a group of data changes the least-squares dictionary as is predicted.
    #[test]
    fn a_group_that_is_removed_changes_atoms_as_predicted() {
        use crate::identity::Moments;
        use rand::RngExt;
        let (n, p, m) = (80, 6, 9);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut codes = SparseCodes::new(p).unwrap();
        let mut data: Vec<f32> = Vec::new();
        for _ in 0..n {
            let code: Vec<f32> = (0..p)
                .map(|_| if rng.random_bool(0.5) { rng.random_range(-1.0..2.0) } else { 0.0 })
                .collect();
            codes.push(code.into_iter());
            data.extend((0..m).map(|_| rng.random_range(-1.0..1.0f32)));
        }
        let solve = |without: &[usize]| {
            let mut left = SparseCodes::new(p).unwrap();
            let mut targets = Vec::new();
            for k in (0..n).filter(|k| !without.contains(k)) {
                left.push((0..p).map(|j| codes.row(k).at(j)));
                targets.extend_from_slice(&data[k * m..(k + 1) * m]);
            }
            let mut moments = Moments::new(p, m);
            moments.add(&left, 0..left.len(), &targets);
            Identity::new(&moments, vec![1.0; p * m], Ridge::Decay(0.2)).unwrap()
        };
        let (whole, without) = (solve(&[]), [3, 7, 20, 21, 60]);
        let less = solve(&without);
        let target = |k: usize| data[k * m..(k + 1) * m].to_vec();
        for (j, change) in predict(&whole, &codes, target, &without).iter().enumerate() {
            let actual = difference(less.estimate(j), whole.estimate(j));
            assert!(norm(&difference(change, &actual)) < 1e-4 * norm(&actual), "atom {j}");
        }
        let atom = whole.atom(0);
        let along: f32 =
            along_sphere(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], atom).iter().sum();
        assert!(along.abs() < 1e-5, "nothing is left along an atom of ones: {along}");
    }

    #[test]
    fn rank_correlation_by_hand() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0];
        let found = rank_correlation(&a, &[5.0, 6.0, 7.0, 8.0, 7.0]);
        // Ranks 1, 2, 3.5, 5, 3.5: a textbook example.
        assert!((found.rho - 0.820_782_681_668_123_3).abs() < 1e-12, "{found:?}");
        assert!(found.low < found.rho && found.rho < found.high && found.high < 1.0);
        assert!((rank_correlation(&a, &[5.0, 4.0, 3.0, 2.0, 1.0]).rho + 1.0).abs() < 1e-12);
        assert_eq!(ranks(&[2.0, 1.0, 2.0, 0.5]), [3.5, 2.0, 3.5, 1.0]);
    }
}
