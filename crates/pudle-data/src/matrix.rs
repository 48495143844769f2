//! Matrices in files, whose rows are data. They are read as training goes, in bounded memory.

pub(crate) mod array;
mod batches;
mod normalize;
mod npy;
mod patches;
mod rows;
mod shards;
mod shuffle;
mod sparse;
pub(crate) mod storage;
mod tensors;
#[cfg(test)]
mod tests;
mod text;

pub use batches::{MatrixBatches, Missing};
pub use normalize::{Normalization, Normalize};
pub use rows::Rows;
pub use shards::Matrix;
pub(crate) use shards::open_array;
