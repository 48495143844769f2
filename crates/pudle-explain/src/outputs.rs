//! The explanation of outputs.

use pudle_data::Image;

use crate::codes::{Row, SparseCodes};
use crate::contributors::{
    Contribution, Contributors, by_code_of_outputs, of_outputs, shares_of_outputs,
};
use crate::data::{DataKind, Encoded, EncodedInput, Input};
use crate::depict::OutputViews;
use crate::error::Result;
use crate::gather::Gather;
use crate::identity::Identity;
use crate::subject::Subject;
use crate::tiles::signed;
use crate::usage::{nearest, ranked, uses};
use crate::vectors::relative_residual;

/// Atoms of an output whose saliency is computed.
const SALIENT: usize = 4;
/// Windows of an input that are explained if no pixels are given.
const WINDOWS: usize = 3;
/// Feature maps of an input.
const MAPS: usize = 9;

/// The inputs whose outputs are explained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputRequest<'a> {
    pub inputs: &'a [Input],
    /// Pixels whose windows are explained, `[row, column]`, if data are windows.
    pub pixels: &'a [[usize; 2]],
    /// Contributors of each kind.
    pub top: usize,
}

/// The output for a code, and the training data that it comes from.
#[derive(Clone, Debug)]
pub struct Output {
    /// Name of the input.
    pub name: String,
    /// Index of the input.
    pub input: usize,
    /// Class of the input, if known.
    pub label: Option<u8>,
    /// First row and column of the window in the input, if data are windows.
    pub corner: Option<[usize; 2]>,
    /// What the model was given, and what it made of it.
    pub views: OutputViews,
    /// The output as rebuilt from training data, `Σ_k β_k x_k`.
    pub estimate: Image,
    /// `‖D z − Σ_k β_k x_k‖ / ‖D z‖`.
    pub residual: f64,
    /// The contributors: ranked by `β` if data are whole items, by share if they are windows.
    pub contributors: Contributors,
    /// `β` of the largest contributors, in their order.
    pub weights: Vec<f64>,
    /// Training data by the inner product of their codes with this one, `Zᵀz`; nothing if data are windows.
    pub by_code: Option<Contributors>,
    /// Training data of the most similar codes, with the cosines; empty if data are windows.
    pub nearest: Vec<(usize, f64)>,
    /// The atoms of the code by magnitude, with their values.
    pub code: Vec<(usize, f32)>,
    /// `∂z_j/∂x` of the first of these atoms, `m` values each; empty if the subject does not compute it.
    pub saliency: Vec<Vec<f32>>,
}

/// An input of which several windows are explained.
#[derive(Clone, Debug)]
pub struct ExplainedInput {
    /// Its name.
    pub name: String,
    /// The model's output for all of it, with the explained windows framed.
    pub marked: Image,
    /// Where the atoms of the highest energy are used.
    pub maps: Vec<FeatureMap>,
}

/// The codes of an atom over the positions of an input.
#[derive(Clone, Debug)]
pub struct FeatureMap {
    /// The atom.
    pub atom: usize,
    /// A pixel for each position.
    pub picture: Image,
}

/// An input, its codes, and the positions that are explained.
struct Chosen<'a> {
    number: usize,
    input: &'a Input,
    encoded: EncodedInput,
    positions: Vec<usize>,
}

/// The contributors to an output.
struct Ranked {
    contributors: Contributors,
    by_code: Option<Contributors>,
}

/// Explains the outputs of inputs.
pub(crate) fn explain_outputs(
    subject: &dyn Subject,
    identity: &Identity,
    training: &Encoded,
    request: OutputRequest<'_>,
) -> Result<(Vec<Output>, Vec<ExplainedInput>)> {
    let mut chosen = Vec::with_capacity(request.inputs.len());
    for (number, input) in request.inputs.iter().enumerate() {
        let encoded = subject.encode_input(input)?;
        let positions = positions(subject, identity, &encoded, request.pixels);
        chosen.push(Chosen { number, input, encoded, positions });
    }
    let rows: Vec<Row<'_>> = chosen
        .iter()
        .flat_map(|c| c.positions.iter().map(|position| c.encoded.codes.row(*position)))
        .collect();
    let gather = Gather { subject, sources: &training.sources, top: request.top };
    let mut ranked = rank(&gather, identity, &training.codes, &rows).into_iter();
    let (mut outputs, mut inputs) = (Vec::with_capacity(rows.len()), Vec::new());
    for chosen in &chosen {
        for position in &chosen.positions {
            let ranked = ranked.next().expect("each output is ranked");
            let mut output = output(subject, identity, chosen, *position, ranked)?;
            let code = chosen.encoded.codes.row(*position);
            output.weights = weights(identity, &training.codes, code, &output.contributors);
            if output.by_code.is_some() {
                output.nearest = nearest(&training.codes, code, request.top);
            }
            outputs.push(output);
        }
        inputs.extend(explained_input(subject, chosen));
    }
    Ok((outputs, inputs))
}

/// The positions of an input that are explained.
fn positions(
    subject: &dyn Subject,
    identity: &Identity,
    encoded: &EncodedInput,
    pixels: &[[usize; 2]],
) -> Vec<usize> {
    match (subject.data_kind(), pixels) {
        (DataKind::Whole, _) => vec![0],
        (DataKind::Windows(_), []) => {
            far_apart(encoded.grid, |u| contrast(&identity.decoded(encoded.codes.row(u))))
        }
        (DataKind::Windows(windows), pixels) => {
            pixels.iter().map(|pixel| windows.nearest(*pixel, encoded.grid)).collect()
        }
    }
}

fn rank(
    gather: &Gather<'_>,
    identity: &Identity,
    codes: &SparseCodes,
    rows: &[Row<'_>],
) -> Vec<Ranked> {
    let top = gather.top;
    match gather.subject.data_kind() {
        DataKind::Whole => of_outputs(identity, codes, rows, top)
            .into_iter()
            .zip(by_code_of_outputs(codes, rows, top))
            .map(|(contributors, by_code)| Ranked { contributors, by_code: Some(by_code) })
            .collect(),
        DataKind::Windows(_) => shares_of_outputs(identity, codes, rows, gather.wanted())
            .into_iter()
            .map(|found| Ranked { contributors: gather.gathered(found), by_code: None })
            .collect(),
    }
}

fn output(
    subject: &dyn Subject,
    identity: &Identity,
    chosen: &Chosen<'_>,
    position: usize,
    ranked: Ranked,
) -> Result<Output> {
    let Chosen { number, input, encoded, .. } = chosen;
    let row = encoded.codes.row(position);
    let (decoded, estimate) = (identity.decoded(row), identity.output(row));
    let mut code: Vec<(usize, f32)> = row.iter().collect();
    code.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let entries: Vec<usize> = code.iter().take(SALIENT).map(|(atom, _)| *atom).collect();
    Ok(Output {
        name: input.name.clone(),
        input: *number,
        label: input.label,
        corner: match subject.data_kind() {
            DataKind::Whole => None,
            DataKind::Windows(windows) => Some(windows.corner(position, encoded.grid[1])),
        },
        views: subject.output_views(encoded, position, &decoded)?,
        estimate: subject.output_picture(&estimate)?,
        residual: relative_residual(&decoded, &estimate),
        contributors: ranked.contributors,
        weights: Vec::new(),
        by_code: ranked.by_code,
        nearest: Vec::new(),
        code,
        saliency: subject.saliency(input, &entries)?,
    })
}

/// `β` of the largest contributors to the output of `code`.
fn weights(
    identity: &Identity,
    training: &SparseCodes,
    code: Row<'_>,
    contributors: &Contributors,
) -> Vec<f64> {
    let beta = identity.weights(code);
    let weight = |c: &Contribution| {
        training.row(c.datum).iter().map(|(atom, value)| f64::from(value) * beta[atom]).sum()
    };
    contributors.most.iter().map(weight).collect()
}

fn explained_input(subject: &dyn Subject, chosen: &Chosen<'_>) -> Option<ExplainedInput> {
    let Chosen { input, encoded, positions, .. } = chosen;
    let marked = subject.marked_output(input, encoded, positions)?;
    Some(ExplainedInput { name: input.name.clone(), marked, maps: feature_maps(encoded) })
}

/// The codes of the atoms of the highest energy, over positions.
fn feature_maps(encoded: &EncodedInput) -> Vec<FeatureMap> {
    let [rows, columns] = encoded.grid;
    // A map of one row is no picture.
    if rows == 1 {
        return Vec::new();
    }
    ranked(&uses(&encoded.codes, &[]), |atom| atom.energy)
        .into_iter()
        .take(MAPS)
        .map(|atom| {
            let values: Vec<f32> = encoded.codes.rows().map(|row| row.value(atom)).collect();
            FeatureMap { atom, picture: signed(&values, [1, rows, columns]) }
        })
        .collect()
}

/// The norm of values after their mean is subtracted.
fn contrast(values: &[f32]) -> f64 {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    values.iter().map(|v| f64::from(v - mean).powi(2)).sum::<f64>().sqrt()
}

/// The positions of the largest figure, each at least a third of the grid's shorter side from the others (of its length, if it is
/// one row); fewer than three if the grid is too small.
fn far_apart([rows, columns]: [usize; 2], figure: impl Fn(usize) -> f64) -> Vec<usize> {
    let mut order: Vec<(usize, f64)> = (0..rows * columns).map(|u| (u, figure(u))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let side = if rows == 1 { columns / 2 } else { rows.min(columns) };
    let least = (side / 3).pow(2).max(1);
    let mut chosen: Vec<usize> = Vec::new();
    for (u, figure) in order {
        let far = |other: &usize| {
            let dy = (u / columns).abs_diff(other / columns);
            let dx = (u % columns).abs_diff(other % columns);
            dy * dy + dx * dx >= least
        };
        // Where nothing happens, one position is enough.
        let shown = figure > 0.0 || chosen.is_empty();
        if chosen.len() < WINDOWS && shown && chosen.iter().all(far) {
            chosen.push(u);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_far_apart() {
        // The figure falls with the number, so neighbours of the first come next.
        let found = far_apart([9, 12], |u| 1000.0 - u as f64);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], 0);
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let (a, b) = (found[a], found[b]);
            let (dy, dx) = ((a / 12).abs_diff(b / 12), (a % 12).abs_diff(b % 12));
            assert!(dy * dy + dx * dx >= 9);
        }
        assert_eq!(far_apart([1, 1], |_| 0.0), [0]);
        // Along one row, and only where something happens.
        assert_eq!(far_apart([1, 60], |u| if u < 30 { u as f64 } else { 0.0 }), [29, 19, 9]);
    }
}
