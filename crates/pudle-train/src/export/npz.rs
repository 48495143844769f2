//! Archives of NumPy arrays.

use std::io::{Cursor, Write};
use std::path::Path;

use npyz::{AutoSerialize, WriteOptions, WriterBuilder};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::network_file::{KEY, NetworkFile};
use crate::weights_file::{array_name, array_shape};

/// The weights and settings of a checkpoint. Errors name `path`.
pub(super) fn to_npz(checkpoint: &Checkpoint, path: &Path) -> Result<Vec<u8>> {
    archive(checkpoint).map_err(TrainError::io(path))
}

fn archive(checkpoint: &Checkpoint) -> std::io::Result<Vec<u8>> {
    let mut archive = Archive { zip: ZipWriter::new(Cursor::new(Vec::new())) };
    for weight in checkpoint.model.weights() {
        let shape: Vec<u64> = array_shape(&weight).iter().map(|axis| *axis as u64).collect();
        archive.array(array_name(&weight), &shape, weight.to_vec())?;
    }
    let network = NetworkFile::of(checkpoint);
    let model = &network.model;
    archive.array("format", &[], [i64::from(network.format)])?;
    archive.array("layers", &[], [model.layers as i64])?;
    archive.array("offset", &[], [model.offset])?;
    if let Some(stride) = model.dictionary.stride() {
        archive.array("stride", &[], [stride as i64])?;
    }
    // A learned step size is among the weights.
    if let (Some(step), None) = (network.step, checkpoint.model.weight("step")) {
        archive.array("step", &[], [step])?;
    }
    if let Some(lambda) = &network.lambda {
        if model.threshold.varies_over_layers() {
            archive.array("lambda", &[lambda.len() as u64, 1], lambda.iter().copied())?;
        } else {
            archive.array("lambda", &[], lambda.first().copied())?;
        }
    }
    if let Some(sigma) = network.sigma {
        archive.array("sigma", &[2], [f64::from(sigma.low()), f64::from(sigma.high())])?;
    }
    let normalization = &network.normalization;
    for (name, values) in [("mean", normalization.mean()), ("scale", normalization.scale())] {
        if !values.is_empty() {
            archive.array(name, &[values.len() as u64], values.iter().copied())?;
        }
    }
    let count = network.extrapolation.len() as u64;
    archive.array("extrapolation", &[count], network.extrapolation.iter().copied())?;
    let text = network.to_json();
    archive.array(KEY, &[text.len() as u64], text.bytes())?;
    Ok(archive.zip.finish()?.into_inner())
}

struct Archive<W: Write + std::io::Seek> {
    zip: ZipWriter<W>,
}

impl<W: Write + std::io::Seek> Archive<W> {
    /// Adds an array; one without axes is a scalar.
    fn array<T: AutoSerialize>(
        &mut self,
        name: &str,
        shape: &[u64],
        values: impl IntoIterator<Item = T>,
    ) -> std::io::Result<()> {
        self.zip.start_file(format!("{name}.npy"), SimpleFileOptions::default())?;
        let mut writer = WriteOptions::<T>::new()
            .default_dtype()
            .shape(shape)
            .writer(&mut self.zip)
            .begin_nd()?;
        writer.extend(values)?;
        writer.finish()
    }
}
