//! Export of weights and networks to other formats.

mod burnpack;
mod npz;
mod onnx;
mod sae;

use std::path::Path;

use crate::atoms::atoms_picture;
use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::files::write_whole;
use crate::network_file::{KEY, NetworkFile};
use crate::weights_file::to_safetensors;

/// A file format of [`Checkpoint::export`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum Format {
    /// Safetensors. The name of a tensor is its path in the model. The text `pudle` in the metadata is a JSON object that
    /// describes the network.
    Safetensors,
    /// NumPy arrays: `atoms`, and those of `analysis`, `decoder`, `gain` (`[p]`), `lambda` (`[p]` or `[T, p]`),
    /// `lambda_slope` (same shape) and `step` (`[1]`) that are learned. Settings are scalars. The bytes of the array `pudle`
    /// are the JSON object that describes the network.
    Npz,
    /// Burn's own format, with the same names and metadata as safetensors.
    Burnpack,
    /// The whole network as an ONNX graph.
    Onnx,
    /// A folder with `cfg.json` and `sae_weights.safetensors`, as SAELens reads it, for networks that are a sparse
    /// autoencoder: vectors, one layer and the operator `relu`.
    Sae,
    /// A picture of the atoms.
    Png,
}

/// Settings of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Whether an ONNX graph gives the mean over all shifts of the atoms' grid, as a denoiser can. Other formats have no
    /// shifts.
    pub all_shifts: bool,
}

impl Checkpoint {
    /// Writes the weights to a file. If this fails, no partial file remains. Equal models give equal files.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written, or if the format cannot express the network.
    pub fn export(&self, format: Format, path: &Path) -> Result<()> {
        self.export_with(format, path, ExportOptions::default())
    }

    /// [`export`](Self::export) with settings.
    ///
    /// # Errors
    /// Returns the errors of [`export`](Self::export).
    pub fn export_with(&self, format: Format, path: &Path, options: ExportOptions) -> Result<()> {
        if !self.config.observation.is_gaussian() && format != Format::Png {
            let range = "gaussian for a description of the network, which has no link of counts";
            return Err(TrainError::range("model.observation", self.config.observation, range));
        }
        if (self.config.baseline || self.config.shared) && format != Format::Png {
            let range =
                "false for a description of the network, which has no baselines and no onsets";
            let field = if self.config.baseline { "model.baseline" } else { "model.shared" };
            return Err(TrainError::range(field, true, range));
        }
        let description = || NetworkFile::of(self).to_json();
        let bytes = match format {
            Format::Safetensors => to_safetensors(&self.model, (KEY, description()), path)?,
            Format::Npz => npz::to_npz(self, path)?,
            Format::Burnpack => burnpack::to_burnpack(&self.model, (KEY, &description()), path)?,
            Format::Onnx => onnx::to_onnx(self, options.all_shifts, path)?,
            Format::Sae => return sae::write(self, path),
            Format::Png => atoms_picture(&self.model)?.to_png()?,
        };
        write_whole(path, &bytes)
    }
}
