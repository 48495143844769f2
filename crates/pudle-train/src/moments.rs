//! The state of an optimiser, atom by atom.

use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::RecordError;
use burn::store::burn_pack::{Bytes, Reader, Tensor, Writer};

/// A weight in the state of an optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AtomAxis {
    /// The number of its parameter.
    pub id: u64,
    /// The axis of its tensor that counts the atoms.
    pub axis: usize,
}

/// The optimiser without its memory of `atoms`: their moments are zero, as at the start. Burn gives no access to the state
/// but as a record.
pub(crate) fn forget(
    optimizer: &ModuleOptimizer,
    weights: &[AtomAxis],
    atoms: &[usize],
) -> Result<ModuleOptimizer, RecordError> {
    let reader = Reader::from_bytes(optimizer.to_record().into_bytes()?)?;
    let (scalars, texts) = (reader.scalars().clone(), reader.metadata().clone());
    let tensors = reader.into_tensors()?.into_iter().map(|tensor| {
        let (name, dtype, shape, id, bytes) = tensor.into_parts()?;
        let mut bytes = bytes.to_vec();
        let weight = weights.iter().find(|weight| Some(weight.id) == id);
        if let Some(weight) = weight.filter(|weight| weight.axis < shape.len()) {
            zero(&mut bytes, &shape, weight.axis, atoms);
        }
        Ok(Tensor::new(name, dtype, shape, id, Bytes::from_bytes_vec(bytes)))
    });
    let mut writer = Writer::new(tensors.collect::<Result<_, RecordError>>()?);
    for (key, value) in scalars {
        writer = writer.with_scalar(&key, value);
    }
    for (key, text) in texts {
        writer = writer.with_metadata(&key, &text);
    }
    let record = OptimizerRecord::from_bytes(writer.into_bytes()?)?;
    Ok(optimizer.clone().load_record(record))
}

/// Sets the numbers of some atoms to zero, whose bytes are zero in every format.
fn zero(bytes: &mut [u8], shape: &[usize], axis: usize, atoms: &[usize]) {
    let outer: usize = shape[..axis].iter().product();
    let count = shape[axis];
    let inner = bytes.len() / (outer * count).max(1);
    for block in 0..outer {
        for atom in atoms.iter().filter(|atom| **atom < count) {
            bytes[(block * count + atom) * inner..][..inner].fill(0);
        }
    }
}
