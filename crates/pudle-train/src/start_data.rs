//! Atoms that are data.

use std::collections::HashSet;

use pudle_data::{Batch, Source, Stream, step_rng};
use rand::RngExt;

use crate::config::RunConfig;
use crate::error::Result;
use crate::frame::{Frame, unit};

/// A patch whose root mean square is below this has no direction but that of rounding.
const LEAST_RMS: f64 = 1e-4;
/// Batches that are read without a new atom before the search ends.
const MOST_IDLE: usize = 20;

/// Up to as many data as the model has atoms, each of unit norm and different from the others: targets of training, in the
/// order of the batches. Of pictures and signals, each datum gives patches at random places, one for each batch until there
/// are enough. The offset of the model is subtracted, and then the mean of a patch. Missing numbers are zero.
///
/// # Errors
/// Returns an error if data cannot be read.
pub(crate) fn atoms_from_data(source: &dyn Source, config: &RunConfig) -> Result<Vec<Vec<f32>>> {
    let wanted = config.model.dictionary.atoms();
    let mut search = Search { config, atoms: Vec::new(), known: HashSet::new(), tried: 0 };
    let (mut step, mut idle) = (0, 0);
    while search.atoms.len() < wanted && idle < MOST_IDLE {
        let before = search.atoms.len();
        search.add(&source.batch(step)?, wanted);
        step += 1;
        idle = if search.atoms.len() == before { idle + 1 } else { 0 };
    }
    Ok(search.atoms)
}

struct Search<'a> {
    config: &'a RunConfig,
    atoms: Vec<Vec<f32>>,
    /// The bits of the atoms.
    known: HashSet<Vec<u32>>,
    /// Number of patches that were looked at.
    tried: u64,
}

impl Search<'_> {
    /// Adds the atoms of a batch, at most until there are `wanted`.
    fn add(&mut self, batch: &Batch, wanted: usize) {
        let frame = Frame::new(&self.config.model.dictionary, &batch.shape);
        let [rows, columns] = frame.places();
        if rows == 0 || columns == 0 {
            return;
        }
        // A picture has room for many patches; four of a datum are still different parts of it.
        let patches = if rows * columns == 1 { 1 } else { 4 };
        for datum in batch.target.chunks(frame.len()) {
            for _ in 0..patches {
                let mut rng = step_rng(self.config.seed, Stream::Start, self.tried);
                self.tried += 1;
                let place = [rng.random_range(0..rows), rng.random_range(0..columns)];
                if self.atoms.len() < wanted {
                    self.add_patch(frame.patch(datum, place), rows * columns > 1);
                }
            }
        }
    }

    fn add_patch(&mut self, mut patch: Vec<f32>, is_part: bool) {
        let offset = self.config.model.offset as f32;
        for value in &mut patch {
            *value = if value.is_nan() { 0.0 } else { *value - offset };
        }
        if is_part && offset != 0.0 {
            let mean = patch.iter().sum::<f32>() / patch.len() as f32;
            patch.iter_mut().for_each(|value| *value -= mean);
        }
        if self.config.model.nonnegative {
            patch.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        let least = LEAST_RMS * (patch.len() as f64).sqrt();
        if let Some(atom) = unit(patch, least)
            && self.known.insert(atom.iter().map(|value| value.to_bits()).collect())
        {
            self.atoms.push(atom);
        }
    }
}
