//! What files of arrays have in common, whoever reads them: the types of their numbers, their headers, and members of archives.

mod archive;
mod npy_header;
mod number;
mod tensors_header;

pub use archive::{ArrayArchive, Packing};
pub use npy_header::read_npy_header;
pub use number::{Number, NumberKind};
pub use tensors_header::TensorsHeader;
