//! Atoms that are data.

use pudle_core::{Proximal, PudleConfig};
use pudle_data::{Batch, Source, Stream, step_rng};
use rand::RngExt;

use crate::error::Result;
use crate::frame::{Directions, Frame, unit};

/// A patch whose root mean square is below this has no direction but that of rounding.
const LEAST_RMS: f64 = 1e-4;
/// Batches that are read without a new atom before the search ends.
const MOST_IDLE: usize = 20;
/// Two atoms of a larger cosine are one.
const SAME: f32 = 0.98;

/// Up to as many data as the model has atoms, each of unit norm and of a direction of its own: targets of training, in the
/// order of the batches. Of pictures and signals, each datum gives patches at random places, one for each batch until there
/// are enough. The offset of the model is subtracted, and then the mean of a patch. Missing numbers are zero.
///
/// # Errors
/// Returns an error if data cannot be read.
pub(crate) fn atoms_from_data(
    source: &dyn Source,
    config: &PudleConfig,
    seed: u64,
) -> Result<Vec<Vec<f32>>> {
    let wanted = config.dictionary.atoms();
    // A code of either sign makes an atom and its opposite one.
    let opposite = config.prox != Proximal::Relu;
    let atoms = Directions::new(SAME, opposite);
    let mut search = Search { config, seed, atoms, tried: 0 };
    let (mut step, mut idle) = (0, 0);
    while search.atoms.found.len() < wanted && idle < MOST_IDLE {
        let before = search.atoms.found.len();
        search.add(&source.batch(step)?, wanted);
        step += 1;
        idle = if search.atoms.found.len() == before { idle + 1 } else { 0 };
    }
    Ok(search.atoms.found)
}

struct Search<'a> {
    config: &'a PudleConfig,
    seed: u64,
    atoms: Directions,
    /// Number of patches that were looked at.
    tried: u64,
}

impl Search<'_> {
    /// Adds the atoms of a batch, at most until there are `wanted`.
    fn add(&mut self, batch: &Batch, wanted: usize) {
        let frame = Frame::new(&self.config.dictionary, &batch.shape);
        let [rows, columns] = frame.places();
        if rows == 0 || columns == 0 {
            return;
        }
        // A picture has room for many patches; four of a datum are still different parts of it.
        let patches = if rows * columns == 1 { 1 } else { 4 };
        for datum in batch.target.chunks(frame.len()) {
            for _ in 0..patches {
                let mut rng = step_rng(self.seed, Stream::Start, self.tried);
                self.tried += 1;
                let place = [rng.random_range(0..rows), rng.random_range(0..columns)];
                if self.atoms.found.len() < wanted {
                    self.add_patch(frame.patch(datum, place), rows * columns > 1);
                }
            }
        }
    }

    fn add_patch(&mut self, mut patch: Vec<f32>, is_part: bool) {
        let offset = self.config.offset as f32;
        for value in &mut patch {
            *value = if value.is_nan() { 0.0 } else { *value - offset };
        }
        if is_part && offset != 0.0 {
            let mean = patch.iter().sum::<f32>() / patch.len() as f32;
            patch.iter_mut().for_each(|value| *value -= mean);
        }
        if self.config.nonnegative {
            patch.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        let least = LEAST_RMS * (patch.len() as f64).sqrt();
        if let Some(atom) = unit(patch, least) {
            self.atoms.add(atom);
        }
    }
}
