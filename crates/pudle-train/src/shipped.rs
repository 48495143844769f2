//! The shipped checkpoints. They are part of the program, so that they work in any folder.
//!
//! A name such as `denoise-gray` always means the shipped checkpoint. A folder of the same name is `./denoise-gray`.

use std::path::Path;

/// A checkpoint in the program.
pub(crate) struct Shipped {
    pub name: &'static str,
    pub config: &'static str,
    pub weights: &'static [u8],
    /// The choice of λ by place, if it has one.
    pub local_lambda: Option<&'static str>,
}

macro_rules! shipped {
    (@local $name:literal) => { None };
    (@local $name:literal local) => {
        Some(include_str!(concat!("../../../checkpoints/", $name, "/local-lambda.toml")))
    };
    ($($name:literal $($local:ident)?),*) => {
        &[$(Shipped {
            name: $name,
            config: include_str!(concat!("../../../checkpoints/", $name, "/config.toml")),
            weights: include_bytes!(concat!("../../../checkpoints/", $name, "/model.safetensors")),
            local_lambda: shipped!(@local $name $($local)?),
        }),*]
    };
}

const SHIPPED: &[Shipped] = shipped!["denoise-gray-sigma25", "denoise-gray" local, "denoise-gray-shifts" local, "denoise-color" local, "denoise-color-shifts" local, "denoise-published"];

/// The names of the shipped checkpoints.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|shipped| shipped.name)
}

/// The shipped checkpoint of this name. If a folder has the same name, a warning says which one is meant.
pub(crate) fn shipped(name: &Path) -> Option<&'static Shipped> {
    let found = SHIPPED.iter().find(|shipped| Path::new(shipped.name) == name)?;
    if name.exists() {
        let name = found.name;
        log::warn!("{name} is the shipped checkpoint; the folder of this name is ./{name}");
    }
    Some(found)
}

/// The file of the choice of λ by place of the shipped checkpoint of this name, if it has one. `None` if no shipped checkpoint
/// has this name.
pub(crate) fn shipped_local_lambda(name: &Path) -> Option<Option<&'static str>> {
    SHIPPED.iter().find(|shipped| Path::new(shipped.name) == name).map(|found| found.local_lambda)
}
