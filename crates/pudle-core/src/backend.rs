//! The choice of a device at run time, among the backends that were compiled in.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;
use thiserror::Error;

/// A backend of Burn. The default is the first of these that is compiled in.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Backend {
    /// Burn's own CPU backend.
    Flex,
    /// The older CPU backend on the `ndarray` crate.
    Ndarray,
    /// GPUs through Vulkan, Metal, DirectX or WebGPU.
    Wgpu,
    /// NVIDIA GPUs.
    Cuda,
}

impl Default for Backend {
    fn default() -> Self {
        let compiled = |backend: &Backend| match backend {
            Backend::Flex => cfg!(feature = "flex"),
            Backend::Ndarray => cfg!(feature = "ndarray"),
            Backend::Wgpu => cfg!(feature = "wgpu"),
            Backend::Cuda => cfg!(feature = "cuda"),
        };
        Backend::iter().find(compiled).unwrap_or(Backend::Flex)
    }
}

/// A backend that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BackendError {
    /// The backend exists, but is not compiled into this program.
    #[error("backend \"{0}\" is not compiled in: build with the cargo feature \"{0}\"")]
    NotCompiled(Backend),
    /// The backend finds no device.
    #[error("backend \"{0}\" finds no device on this machine")]
    NoDevice(Backend),
}

impl Backend {
    /// The backend's default device, without autodiff.
    ///
    /// # Errors
    /// Returns an error if the backend is not compiled in, or finds no device.
    pub fn device(self) -> Result<Device, BackendError> {
        match self {
            #[cfg(feature = "flex")]
            Backend::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            Backend::Ndarray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => present(self, burn::tensor::DeviceType::Wgpu, || {
                Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
            }),
            #[cfg(feature = "cuda")]
            Backend::Cuda => present(self, burn::tensor::DeviceType::Cuda, || {
                Device::cuda(burn::tensor::DeviceIndex::Default)
            }),
            #[allow(unreachable_patterns, reason = "reached where a feature is off")]
            other => Err(BackendError::NotCompiled(other)),
        }
    }
}

/// The device, once the backend has listed at least one: opening a missing one panics.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn present(
    backend: Backend,
    kind: burn::tensor::DeviceType,
    open: impl FnOnce() -> Device,
) -> Result<Device, BackendError> {
    // Drivers may panic while they are probed; that is as good as no device.
    let devices = std::panic::catch_unwind(|| Device::enumerate(kind).into_vec());
    match devices {
        Ok(devices) if !devices.is_empty() => Ok(open()),
        _ => Err(BackendError::NoDevice(backend)),
    }
}
