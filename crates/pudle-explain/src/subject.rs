//! What is explained: a model with the data that it was trained on.
//!
//! [`Subject`] is what the pipeline ([`explain`](crate::explain())), the removal test ([`removal_test`](crate::removal_test())) and
//! the report need. A new kind of data is one more implementation, in a file of its own, and a line in
//! [`open_subject`](crate::open_subject()).

pub mod dense;
pub mod digits;
pub mod events;
mod npy;
pub mod photographs;
pub mod recordings;
pub(crate) mod signals;
mod trained;

use std::fmt::Debug;
use std::path::Path;

use burn::tensor::Device;

use crate::attractors::Attraction;
use crate::data::{Batch, DataKind, Encoded, EncodedInput, Input, InputNoise, Source, Split};
use crate::depict::Depict;
use crate::error::Result;
use crate::network::Network;
use crate::removal_run::ContinuedTraining;
use crate::subject::events::RecordedEvents;

/// Batches of one pass over data.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch>> + 'a>;

/// A model with its training data. `p` is the number of atoms, `m` the number of values of an atom.
pub trait Subject: Depict + Debug {
    /// What a training datum is.
    fn data_kind(&self) -> DataKind;

    /// The device that the model is on.
    fn device(&self) -> &Device;

    /// The dictionary that outputs are made of, atom by atom, `p×m`.
    fn dictionary(&self) -> Vec<f32>;

    /// Number of atoms `p`.
    fn atoms(&self) -> usize;

    /// Number of values of an atom, `m`.
    fn dim(&self) -> usize {
        self.dictionary().len() / self.atoms()
    }

    /// One pass over the data, in order.
    fn batches(&self, split: Split) -> Batches<'_>;

    /// Number of batches of one pass.
    fn batch_count(&self, split: Split) -> usize;

    /// The class of each datum, in order; empty if the data have no classes.
    fn labels(&self, _split: Split) -> &[u8] {
        &[]
    }

    /// Number of held-out data.
    fn held_out(&self) -> usize {
        0
    }

    /// `count` held-out data as inputs, spread evenly over all of them; all of them if there are not as many.
    fn held_out_inputs(&self, _count: usize) -> Vec<Input> {
        Vec::new()
    }

    /// The standard deviation of the noise that training data are given before they are encoded, on the scale 0 … 255, if
    /// the model is a denoiser.
    fn sigma(&self) -> Option<f32> {
        None
    }

    /// Reads an input from a file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or does not fit the model.
    fn read_input(&self, path: &Path, noise: InputNoise) -> Result<Input>;

    /// Returns an error if the model is not for this input: if its size does not fit, or its noise is not that of training.
    ///
    /// # Errors
    /// The error names the value and the range.
    fn check_input(&self, input: &Input) -> Result<()>;

    /// Encodes an input.
    ///
    /// # Errors
    /// Those of [`check_input`](Self::check_input).
    fn encode_input(&self, input: &Input) -> Result<EncodedInput>;

    /// The derivatives `∂z_j/∂x` of entries of an input's code, `m` values each; empty if they are not computed for this
    /// subject.
    ///
    /// # Errors
    /// Returns an error if an entry is beyond the code.
    fn saliency(&self, _input: &Input, _entries: &[usize]) -> Result<Vec<Vec<f32>>> {
        Ok(Vec::new())
    }

    /// Where iterating the network leads, if it maps a datum to a datum.
    fn attraction(&self, _seed: u64) -> Option<Attraction> {
        None
    }

    /// The thresholds `λ` of the last layer, one for each atom, or one for all; empty if they depend on the noise.
    fn thresholds(&self) -> Vec<f32> {
        Vec::new()
    }

    /// The network's settings, if a page can run it.
    fn network(&self) -> Option<Network> {
        None
    }

    /// Whether two training data are parts of one event, so that their shares are added up.
    fn same_event(&self, _a: Source, _b: Source) -> bool {
        false
    }

    /// The events of the recording that the model was trained on, if it was one. `progress` is called with the samples that are
    /// done and all samples.
    ///
    /// # Errors
    /// Returns an error if the recording cannot be read.
    fn events(&self, _progress: &mut dyn FnMut(u64, u64)) -> Result<Option<RecordedEvents>> {
        Ok(None)
    }

    /// This subject's training without some of its data, if that is possible.
    fn retraining(&self) -> Option<&dyn Retraining> {
        None
    }

    /// Encodes data in one pass. `progress` is called after each batch with the number of batches so far.
    ///
    /// # Errors
    /// Returns an error if a datum cannot be read.
    fn encode(&self, split: Split, progress: &mut dyn FnMut(usize)) -> Result<Encoded> {
        let mut encoded = Encoded::new(self.atoms(), self.dim())?;
        for (k, batch) in self.batches(split).enumerate() {
            encoded.add(&batch?);
            progress(k + 1);
        }
        Ok(encoded)
    }
}

/// A subject whose training can continue without some of its data.
pub trait Retraining {
    /// The values of a training datum that the dictionary has to explain, `m` values.
    ///
    /// # Errors
    /// Returns an error if the datum cannot be read.
    fn target(&self, datum: usize) -> Result<Vec<f32>>;

    /// Continues training without the data `without` and returns the subject under the new model.
    ///
    /// # Errors
    /// Returns an error if the run cannot be read or trained further.
    fn train_without(
        &self,
        training: &ContinuedTraining,
        without: &[usize],
    ) -> Result<Box<dyn Subject>>;
}
