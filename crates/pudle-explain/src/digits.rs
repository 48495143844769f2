//! Everything that a report says of a dictionary over digits.

use std::path::PathBuf;

use burn::tensor::{Device, TensorData};
use pudle_data::Image;

use crate::attractors::{Attraction, attraction};
use crate::classifier::{Accuracy, classify};
use crate::codes::SparseCodes;
use crate::contributors::{
    Contributors, by_code_of_atoms, by_code_of_outputs, of_atoms, of_outputs,
};
use crate::error::{ExplainError, Result};
use crate::identity::{Identity, Ridge};
use crate::saliency::saliency;
use crate::subject::{DigitModel, Encoded};
use crate::usage::{Use, nearest, ranked, uses};

/// Steps of the iteration that looks for attractors, and draws of noise it starts from beside the atoms.
const ATTRACTION_STEPS: usize = 60;
const ATTRACTION_DRAWS: usize = 64;
/// Atoms whose saliency is shown for an output.
const SALIENT: usize = 4;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct DigitOptions {
    /// What is added to the diagonal of `Z Zᵀ`.
    pub ridge: Ridge,
    /// Contributors of each kind, at least 2.
    pub count: usize,
    /// Digits of the held-out part whose outputs are explained, spread evenly over it.
    pub held_out: usize,
    /// Pictures whose outputs are explained, too.
    pub inputs: Vec<PathBuf>,
    /// Seed of the noise that attractors are sought from.
    pub seed: u64,
}

/// A digit, what the network makes of it, and which training digits that comes from.
#[derive(Clone, Debug)]
pub struct OutputExplanation {
    /// What it is called.
    pub name: String,
    /// Its class, where known.
    pub label: Option<u8>,
    /// The digit.
    pub input: Image,
    /// `D z`.
    pub reconstruction: Image,
    /// `Σ_k β_k x_k`.
    pub estimate: Image,
    /// `‖D z − Σ_k β_k x_k‖ / ‖D z‖`.
    pub residual: f64,
    /// Training digits by `β`.
    pub contributors: Contributors,
    /// Training digits by what their codes have in common with this one, `Zᵀz`.
    pub by_code: Contributors,
    /// Training digits of the most similar codes, and the cosines.
    pub nearest: Vec<(usize, f64)>,
    /// Atoms of its code by magnitude, and their values.
    pub code: Vec<(usize, f32)>,
    /// Of the first of these atoms, `∂z_j/∂x`.
    pub saliency: Vec<Image>,
}

/// All of it.
#[derive(Debug)]
pub struct DigitExplanation {
    /// Codes and moments of the training digits.
    pub encoded: Encoded,
    /// The identity and its figures.
    pub identity: Identity,
    /// Training digits by `α`, atom by atom.
    pub contributors: Vec<Contributors>,
    /// Training digits by their codes `w_j`, atom by atom.
    pub by_code: Vec<Contributors>,
    /// How the training digits use each atom.
    pub uses: Vec<Use>,
    /// Atoms by energy, the largest first.
    pub by_energy: Vec<usize>,
    /// Thresholds `λ` of the last layer, one for each atom where they are learned, else one.
    pub thresholds: Vec<f32>,
    /// What a linear classifier on the codes gets right, where there are digits to hold out.
    pub accuracy: Option<Accuracy>,
    /// Where the network leads from atoms and noise.
    pub attraction: Attraction,
    /// Explained outputs.
    pub outputs: Vec<OutputExplanation>,
}

impl DigitExplanation {
    /// Of the `count` atoms of the highest energy, the share whose two largest contributors are of one class.
    pub fn agreement(&self, subject: &DigitModel, count: usize) -> f64 {
        let labels = subject.digits().labels();
        let label = |contributors: &Contributors, k: usize| {
            contributors.most.get(k).map(|c| labels[subject.trained().start + c.datum])
        };
        let atoms = self.highest(count);
        let agree = atoms.iter().filter(|j| {
            let contributors = &self.contributors[**j];
            label(contributors, 0) == label(contributors, 1)
        });
        agree.count() as f64 / atoms.len().max(1) as f64
    }

    /// The atoms of the highest energy, at most `count`, and none that no digit uses.
    fn highest(&self, count: usize) -> &[usize] {
        let used = self.by_energy.iter().take(count).take_while(|j| self.uses[**j].count > 0);
        &self.by_energy[..used.count()]
    }

    /// The smallest cosine of learned and rebuilt atom among the `count` of the highest energy.
    pub fn smallest_cosine(&self, count: usize) -> f64 {
        let cosines = self.highest(count).iter().map(|j| self.identity.cosine(*j));
        cosines.fold(f64::INFINITY, f64::min)
    }
}

/// Explains a dictionary over digits; `progress` is told what is being done.
///
/// # Errors
/// Settings out of range, pictures that cannot be read, or a ridge that leaves the Gram matrix singular.
pub fn explain_digits(
    subject: &DigitModel,
    options: &DigitOptions,
    device: &Device,
    mut progress: impl FnMut(&str),
) -> Result<DigitExplanation> {
    if !(2..=64).contains(&options.count) {
        return Err(ExplainError::range("top", options.count, "between 2 and 64"));
    }
    let inputs = inputs(subject, options)?;
    progress("codes of the training digits");
    let encoded = subject.encode_digits(subject.trained())?;
    progress("the inverse of Z Zᵀ");
    let identity = encoded.identity(subject.dictionary(), options.ridge)?;
    progress("contributions to the atoms");
    let contributors = of_atoms(&identity, &encoded.codes, options.count);
    let by_code = by_code_of_atoms(&encoded.codes, options.count);
    let labels = &subject.digits().labels()[subject.trained()];
    let uses = uses(&encoded.codes, labels);
    let by_energy = ranked(&uses, |atom| atom.energy);
    progress("contributions to the outputs");
    let outputs = outputs(subject, &identity, &encoded.codes, inputs, options)?;
    progress("a classifier on the codes");
    let kept = subject.kept();
    let accuracy = if kept.is_empty() {
        None
    } else {
        let held_out = subject.encode_digits(kept.clone())?;
        let held_labels = &subject.digits().labels()[kept];
        Some(classify((&encoded.codes, labels), (&held_out.codes, held_labels), device))
    };
    progress("attractors");
    let attraction = attraction(
        subject.model(),
        ATTRACTION_DRAWS,
        mean_norm(subject),
        ATTRACTION_STEPS,
        options.seed,
        device,
    );
    let thresholds = match subject.model().threshold().lambda(subject.model().config().layers - 1) {
        pudle_core::Level::Scalar(lambda) => vec![lambda as f32],
        pudle_core::Level::PerAtom(lambda) => lambda.into_data().iter::<f32>().collect(),
    };
    Ok(DigitExplanation {
        encoded,
        identity,
        contributors,
        by_code,
        uses,
        by_energy,
        thresholds,
        accuracy,
        attraction,
        outputs,
    })
}

fn mean_norm(subject: &DigitModel) -> f32 {
    let norms = subject.trained().filter_map(|k| subject.digits().pixels(k)).map(|x| norm(&x));
    norms.sum::<f32>() / subject.trained().len() as f32
}

pub(crate) fn norm(values: &[f32]) -> f32 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32
}

/// Name, class and picture of everything whose output is to be explained.
fn inputs(
    subject: &DigitModel,
    options: &DigitOptions,
) -> Result<Vec<(String, Option<u8>, Image)>> {
    let mut inputs = Vec::new();
    for path in &options.inputs {
        inputs.push((path.display().to_string(), None, subject.read(path)?));
    }
    let kept = subject.kept();
    let count = options.held_out.min(kept.len());
    for k in 0..count {
        let number = kept.start + k * kept.len() / count;
        let image = subject.digits().image(number).expect("a digit that there is");
        let label = subject.digits().labels()[number];
        inputs.push((format!("held-out digit {number}"), Some(label), image));
    }
    Ok(inputs)
}

fn outputs(
    subject: &DigitModel,
    identity: &Identity,
    codes: &SparseCodes,
    inputs: Vec<(String, Option<u8>, Image)>,
    options: &DigitOptions,
) -> Result<Vec<OutputExplanation>> {
    let mut own = SparseCodes::new(codes.atoms())?;
    for (_, _, image) in &inputs {
        own.push(subject.encode(&image.data).into_iter());
    }
    let rows: Vec<_> = own.rows().collect();
    let contributors = of_outputs(identity, codes, &rows, options.count);
    let by_code = by_code_of_outputs(codes, &rows, options.count);
    let offset = subject.model().config().offset as f32;
    let mut outputs = Vec::with_capacity(inputs.len());
    let ranked = contributors.into_iter().zip(by_code);
    for ((row, (contributors, by_code)), (name, label, input)) in
        rows.into_iter().zip(ranked).zip(inputs)
    {
        let [_, height, width] = [input.channels, input.height, input.width];
        let picture = |values: Vec<f32>| Image::new(1, height, width, values);
        let shown = |values: &[f32]| picture(values.iter().map(|v| v + offset).collect());
        let (decoded, estimate) = (identity.decoded(row), identity.output(row));
        let off: Vec<f32> = decoded.iter().zip(&estimate).map(|(a, b)| a - b).collect();
        let mut code: Vec<(usize, f32)> = row.iter().collect();
        code.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let entries: Vec<usize> = code.iter().take(SALIENT).map(|(atom, _)| *atom).collect();
        let x = TensorData::new(input.data.clone(), [1, height * width]);
        let saliency = saliency(subject.model(), x, &entries)?
            .into_iter()
            .map(|gradient| picture(gradient.into_iter().map(|g| g as f32).collect()))
            .collect::<Result<_, _>>()?;
        outputs.push(OutputExplanation {
            name,
            label,
            residual: f64::from(norm(&off) / norm(&decoded).max(f32::MIN_POSITIVE)),
            reconstruction: shown(&decoded)?,
            estimate: shown(&estimate)?,
            nearest: nearest(codes, row, options.count),
            contributors,
            by_code,
            code,
            saliency,
            input,
        });
    }
    Ok(outputs)
}
