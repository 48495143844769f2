//! Codes of data in files, and data from codes.

mod about;
mod coder;
mod decode;
mod files;
mod input;
mod lasso;
mod stats;
mod work;
mod writer;

pub use coder::{Coded, Coder};
pub use decode::decode_file;
pub use files::{Visit, encode_file};
pub use input::DataOptions;
pub use stats::CodeStats;
