//! What the unrolled pass costs: workloads, their times and their memory.
//!
//! The same workloads stand behind `pudle bench`, the criterion benches, and the comparison with PyTorch
//! in `peers/`.

mod measure;
mod memory;
mod workload;

pub use measure::{Measurement, Results, measure};
pub use workload::{Case, Inputs, Size, Trained, Workload, WorkloadError};
