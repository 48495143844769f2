//! Whether training data use all atoms.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::{Device, Int, Tensor};
use pudle_core::{Dictionary, Pudle};
use pudle_data::Source;

use crate::data::StepLoader;
use crate::error::{Result, TrainError};

/// At most so many steps are encoded again, from the last one backwards in blocks.
const STEPS: u64 = 64;
const BLOCK: u64 = 4;

/// A line about the atoms that no datum of the last steps of a training uses; `None` if all are used. The data are encoded
/// by the trained model, and as few of them as show that all atoms are used.
///
/// # Errors
/// Returns an error if a batch cannot be read.
pub(crate) fn about_unused<const D: usize, A: Dictionary<D>>(
    model: &Pudle<D, A>,
    source: &Arc<dyn Source>,
    steps: u64,
    device: &Device,
) -> Result<Option<String>> {
    let mut used = Vec::new();
    let mut end = steps;
    let first = steps.saturating_sub(STEPS);
    while end > first {
        let block = end.saturating_sub(BLOCK).max(first)..end;
        end = block.start;
        let loader = StepLoader::<D>::new(source.clone(), block, 1, device.clone());
        for batch in loader.iter() {
            let batch = batch.map_err(|error| TrainError::Learner(error.to_string()))?;
            add(&mut used, model.encode(batch.input, &batch.noise));
        }
        if used.iter().all(|used| *used) {
            return Ok(None);
        }
    }
    Ok(line(&used, steps - first))
}

/// Marks the atoms that a code uses. Its second axis is that of the atoms.
fn add<const D: usize>(used: &mut Vec<bool>, code: Tensor<D>) {
    let shape = code.dims();
    let (data, atoms) = (shape[0], shape[1]);
    let positions = shape[2..].iter().product::<usize>();
    let entries: Tensor<3> = code.reshape([data, atoms, positions]);
    let counts: Tensor<3, Int> = entries.not_equal_elem(0.0).int().sum_dim(2).sum_dim(0);
    used.resize(atoms, false);
    for (used, count) in used.iter_mut().zip(counts.into_data().iter::<i64>()) {
        *used |= count > 0;
    }
}

/// The line; it lists the numbers of a few atoms.
fn line(used: &[bool], steps: u64) -> Option<String> {
    const LISTED: usize = 10;
    let unused: Vec<String> =
        used.iter().enumerate().filter(|(_, used)| !**used).map(|(k, _)| k.to_string()).collect();
    if unused.is_empty() {
        return None;
    }
    let more = if unused.len() > LISTED { ", …" } else { "" };
    let listed = unused[..unused.len().min(LISTED)].join(", ");
    Some(format!(
        "{} of {} atoms are used by no datum of the last {steps} steps: {listed}{more}",
        unused.len(),
        used.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoms_without_codes_are_listed() {
        let device = Device::flex();
        let mut used = Vec::new();
        add(&mut used, Tensor::<2>::from_data([[0.0, 1.0, 0.0], [0.0, -2.0, 0.0]], &device));
        assert_eq!(used, [false, true, false]);
        let text = line(&used, 7).unwrap();
        assert_eq!(text, "2 of 3 atoms are used by no datum of the last 7 steps: 0, 2");
        // Along a signal, one position is enough.
        add(&mut used, Tensor::<3>::from_data([[[0.0, 0.5], [0.0, 0.0], [0.0, 0.0]]], &device));
        assert_eq!(used, [true, true, false]);
        add(&mut used, Tensor::<2>::from_data([[0.0, 0.0, 1e-9]], &device));
        assert_eq!(line(&used, 7), None);
        let many = line(&[false; 30], 128).unwrap();
        assert!(many.starts_with("30 of 30") && many.ends_with("8, 9, …"), "{many}");
    }
}
