//! The shipped checkpoints. They are part of the program, so that they work in any folder.
//!
//! A name such as `denoise-gray` always means the shipped checkpoint. A folder of the same name is `./denoise-gray`.

use std::path::Path;

/// A checkpoint in the program.
pub(crate) struct Shipped {
    pub name: &'static str,
    pub config: &'static str,
    pub weights: &'static [u8],
}

macro_rules! shipped {
    ($($name:literal),*) => {
        &[$(Shipped {
            name: $name,
            config: include_str!(concat!("../../../checkpoints/", $name, "/config.toml")),
            weights: include_bytes!(concat!("../../../checkpoints/", $name, "/model.safetensors")),
        }),*]
    };
}

const SHIPPED: &[Shipped] =
    shipped!["denoise-gray-sigma25", "denoise-gray", "denoise-color", "denoise-published"];

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
