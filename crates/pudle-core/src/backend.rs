//! The choice of a device at run time, among the backends that were compiled in.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, Tensor};
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
        Backend::iter().find(|backend| backend.is_compiled()).unwrap_or(Backend::Flex)
    }
}

/// The number of the device that this process uses.
static NUMBER: OnceLock<usize> = OnceLock::new();

/// Lets every [`Backend::device`] of this process be device `number` of its backend, counted from 0. A run does not store
/// the number: the same run may continue on another machine. Returns `false` if another number was chosen before.
pub fn choose_device(number: usize) -> bool {
    *NUMBER.get_or_init(|| number) == number
}

/// A device of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// The backend.
    pub backend: Backend,
    /// Number of the device, counted from 0.
    pub number: usize,
    /// The name that the device gives itself.
    pub name: String,
    /// The driver and the language of kernels, if the backend tells.
    pub driver: Option<String>,
    /// Memory of the device in bytes, if the backend tells.
    pub memory: Option<u64>,
    /// The largest buffer in bytes, if it has a limit.
    pub largest_buffer: Option<u64>,
    /// Bits of the floating-point numbers that it computes with, of 16, 32 and 64.
    pub bits: Vec<u32>,
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
    /// There are fewer devices than the chosen number.
    #[error("device {number} of backend \"{backend}\": there are {count}, counted from 0")]
    NoSuchDevice {
        /// The backend.
        backend: Backend,
        /// The chosen number.
        number: usize,
        /// How many devices there are.
        count: usize,
    },
}

impl Backend {
    /// Whether the backend is compiled in.
    pub fn is_compiled(self) -> bool {
        match self {
            Backend::Flex => cfg!(feature = "flex"),
            Backend::Ndarray => cfg!(feature = "ndarray"),
            Backend::Wgpu => cfg!(feature = "wgpu"),
            Backend::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// The device of [`choose_device`], or the backend's default device, without autodiff.
    ///
    /// # Errors
    /// Returns an error if the backend is not compiled in, finds no device, or has no device of the chosen number.
    pub fn device(self) -> Result<Device, BackendError> {
        let mut devices = self.devices()?;
        match NUMBER.get() {
            Some(&number) if number >= devices.len() => {
                Err(BackendError::NoSuchDevice { backend: self, number, count: devices.len() })
            }
            Some(&number) => Ok(devices.swap_remove(number)),
            None => Ok(self.preferred().unwrap_or_else(|| devices.swap_remove(0))),
        }
    }

    /// All devices of the backend, at least one.
    ///
    /// # Errors
    /// Returns an error if the backend is not compiled in or finds no device.
    pub fn devices(self) -> Result<Vec<Device>, BackendError> {
        match self {
            #[cfg(feature = "flex")]
            Backend::Flex => Ok(vec![Device::flex()]),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated, reason = "Burn has a successor, flex, which is the default here")]
            Backend::Ndarray => Ok(vec![Device::ndarray()]),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => present(self, burn::tensor::DeviceType::Wgpu),
            #[cfg(feature = "cuda")]
            Backend::Cuda => present(self, burn::tensor::DeviceType::Cuda),
            #[allow(unreachable_patterns, reason = "reached where a feature is off")]
            other => Err(BackendError::NotCompiled(other)),
        }
    }

    /// The device that the backend itself prefers; `None` if it has no preference.
    fn preferred(self) -> Option<Device> {
        match self {
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Backend::Cuda => Some(Device::cuda(burn::tensor::DeviceIndex::Default)),
            _ => None,
        }
    }

    /// What the backend's devices are. Opens each of them.
    ///
    /// # Errors
    /// Returns an error if the backend is not compiled in or finds no device.
    pub fn list(self) -> Result<Vec<DeviceInfo>, BackendError> {
        let info = |(number, device)| {
            let adapter = pudle_kernels::adapter(&Tensor::<1>::zeros([1], &device));
            let floats = [(16, DType::F16), (32, DType::F32), (64, DType::F64)];
            let known = floats.into_iter().filter(|(_, dtype)| device.supports_dtype(*dtype));
            match adapter {
                Some(adapter) => DeviceInfo {
                    backend: self,
                    number,
                    name: adapter.name,
                    driver: Some(adapter.driver),
                    memory: adapter.memory,
                    largest_buffer: Some(adapter.largest_buffer),
                    bits: known.map(|(bits, _)| bits).collect(),
                },
                None => DeviceInfo {
                    backend: self,
                    number,
                    name: "CPU".into(),
                    driver: None,
                    memory: None,
                    largest_buffer: None,
                    bits: vec![32, 64],
                },
            }
        };
        Ok(self.devices()?.into_iter().enumerate().map(info).collect())
    }
}

/// The devices, at least one.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn present(backend: Backend, kind: burn::tensor::DeviceType) -> Result<Vec<Device>, BackendError> {
    // Drivers may panic while they are probed; that is as good as no device.
    let probe = std::panic::AssertUnwindSafe(|| Device::enumerate(kind).into_vec());
    let devices = std::panic::catch_unwind(probe);
    match devices {
        Ok(devices) if !devices.is_empty() => Ok(devices),
        _ => Err(BackendError::NoDevice(backend)),
    }
}
