//! Time and memory of the unrolled network on standard workloads.
//!
//! `pudle bench`, the criterion benches and the comparison with PyTorch in `peers/` use the same workloads.

mod device;
mod measure;
mod memory;
mod workload;

pub use device::DeviceWork;
pub use measure::{Measurement, Results, measure};
pub use workload::{Case, Inputs, Size, Trained, Workload, WorkloadError};
