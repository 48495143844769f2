//! Work and memory of a GPU.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::Serialize;

/// Launches of kernels, by name.
type Launches = BTreeMap<String, usize>;

/// Work and memory of a GPU.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceWork {
    /// Launches of kernels in a forward pass.
    pub forward_launches: usize,
    /// Launches of kernels in a training step without the update.
    pub step_launches: usize,
    /// Launches that one more layer adds to a training step. `None` for the case `image`.
    pub layer_launches: Option<usize>,
    /// The launches of a step, or of a forward pass for the case `image`, by name.
    pub kernels: Launches,
    /// Memory that the device's allocator held at its peak, in MiB, if it tells. It takes memory in pages.
    pub peak_mib: Option<f64>,
}

impl DeviceWork {
    /// The work of a forward pass, of a step, and of a step with one more layer. `None` if nothing was launched.
    pub(crate) fn new(
        [forward, step, longer]: [Launches; 3],
        peak_mib: Option<f64>,
    ) -> Option<Self> {
        let count = |launches: &Launches| launches.values().sum::<usize>();
        let (forward_launches, step_launches) = (count(&forward), count(&step));
        (forward_launches > 0).then(|| Self {
            forward_launches,
            step_launches,
            layer_launches: (step_launches > 0)
                .then(|| count(&longer).saturating_sub(step_launches)),
            kernels: if step_launches > 0 { step } else { forward },
            peak_mib,
        })
    }
}

/// Memory that the device's allocator has held at its peak, in MiB.
pub(crate) fn device_peak_mib(device: &Device) -> Option<f64> {
    let pools = device.memory_pool_report()?;
    let bytes: u64 = pools.iter().map(|pool| pool.pages_peak * pool.page_size).sum();
    let reserved = device.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved);
    Some(bytes.max(reserved) as f64 / (1 << 20) as f64)
}
