//! Export of weights to other formats.

use std::io::Cursor;
use std::path::Path;

use crate::atoms::atoms_picture;
use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::files::write_whole;
use crate::weights_file::{array_name, array_shape, to_safetensors};

/// A file format of [`Checkpoint::export`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum Format {
    /// Safetensors. The name of a tensor is its path in the model.
    Safetensors,
    /// NumPy arrays: `atoms`, and those of `analysis`, `decoder`, `gain` (`[p]`), `lambda` (`[p]` or `[T, p]`),
    /// `lambda_slope` (same shape) and `step` (`[1]`) that are learned.
    Npz,
    /// A picture of the atoms.
    Png,
}

impl Checkpoint {
    /// Writes the weights to a file. If this fails, no partial file remains.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn export(&self, format: Format, path: &Path) -> Result<()> {
        match format {
            Format::Safetensors => write_whole(path, &to_safetensors(&self.model, path)?),
            Format::Npz => write_whole(path, &self.to_npz().map_err(TrainError::io(path))?),
            Format::Png => write_whole(path, &atoms_picture(&self.model)?.to_png()?),
        }
    }

    fn to_npz(&self) -> std::io::Result<Vec<u8>> {
        use npyz::WriterBuilder;
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for weight in self.model.weights() {
            let name = format!("{}.npy", array_name(&weight));
            archive.start_file(name, zip::write::SimpleFileOptions::default())?;
            let shape: Vec<u64> = array_shape(&weight).iter().map(|axis| *axis as u64).collect();
            let mut writer = npyz::WriteOptions::new()
                .default_dtype()
                .shape(&shape)
                .writer(&mut archive)
                .begin_nd()?;
            writer.extend(weight.to_vec())?;
            writer.finish()?;
        }
        Ok(archive.finish()?.into_inner())
    }
}
