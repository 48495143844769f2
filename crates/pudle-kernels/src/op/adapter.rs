//! What is known of the device of a tensor.

use burn::tensor::Tensor;

/// A GPU, or a program that stands for one, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// The name that the device gives itself.
    pub name: String,
    /// The driver if the runtime tells, and how kernels are compiled.
    pub driver: String,
    /// Memory in bytes, if the runtime tells.
    pub memory: Option<u64>,
    /// The largest buffer in bytes.
    pub largest_buffer: u64,
}

/// The adapter that a tensor is on; `None` on the CPU.
#[cfg(not(feature = "cube"))]
pub fn adapter<const D: usize>(_: &Tensor<D>) -> Option<Adapter> {
    None
}

/// The adapter that a tensor is on; `None` on the CPU.
#[cfg(feature = "cube")]
pub fn adapter<const D: usize>(tensor: &Tensor<D>) -> Option<Adapter> {
    use burn::backend::{DispatchTensorKind, TensorMetadata};
    let kind = tensor.clone().into_dispatch().kind;
    let DispatchTensorKind::Cube(tensor) = kind else { return None };
    let client = tensor.device().client();
    let properties = client.properties();
    let name = properties.identity.name.clone();
    let driver = match driver(&name) {
        Some(driver) => format!("{driver}, {}", client.name()),
        None => client.name().to_owned(),
    };
    Some(Adapter {
        name,
        driver,
        memory: properties.memory.max_memory(),
        largest_buffer: properties.memory.max_page_size,
    })
}

/// The graphics API and the driver of the adapter of a name.
#[cfg(feature = "wgpu")]
fn driver(name: &str) -> Option<String> {
    use cubecl::wgpu::wgpu::{Backends, Instance};
    let adapters = Instance::default().enumerate_adapters(Backends::all());
    let adapters = cubecl::future::block_on(adapters);
    let info = adapters.iter().map(|adapter| adapter.get_info()).find(|info| info.name == name)?;
    let words = format!("{} {} {}", info.backend, info.driver, info.driver_info);
    Some(words.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(all(feature = "cube", not(feature = "wgpu")))]
fn driver(_: &str) -> Option<String> {
    None
}
