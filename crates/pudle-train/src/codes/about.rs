//! What an archive of codes says about them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// The version of the description that is written.
const FORMAT: u32 = 1;

/// What an archive says about its codes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub format: u32,
    /// The program that wrote the file.
    pub program: String,
    /// Whether the codes are those of one datum, without an axis for the batch.
    pub single: bool,
    /// Shape of the code of a datum; empty for a folder of pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<usize>,
    /// Shape of a datum; empty for a folder of pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datum: Vec<usize>,
    /// Shapes of the pictures of a folder, by the names of their arrays.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pictures: BTreeMap<String, Vec<usize>>,
}

impl About {
    /// That of no codes.
    pub fn new(single: bool) -> Self {
        let program = format!("pudle {}", env!("CARGO_PKG_VERSION"));
        let (code, datum, pictures) = (vec![], vec![], BTreeMap::new());
        Self { format: FORMAT, program, single, code, datum, pictures }
    }

    /// The description as one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and words")
    }

    /// Reads a description.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self> {
        let about: Self = serde_json::from_slice(text).map_err(|error| {
            TrainError::weights(path, format!("the description of the codes is damaged: {error}"))
        })?;
        if about.format > FORMAT {
            let reason = format!(
                "codes of format {}, of a newer version of Pudle; this one reads formats up to {FORMAT}",
                about.format
            );
            return Err(TrainError::weights(path, reason));
        }
        Ok(about)
    }
}
