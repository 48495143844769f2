//! A file of arrays, in whichever format.

use std::path::{Path, PathBuf};

use super::array::{Array, listed};
use super::burnpack::Pack;
use super::npy;
use super::npz::Npz;
use super::pytorch::StateDict;
use super::safetensors::Tensors;
use super::sniff::{Kind, sniff};
use crate::error::{Result, TrainError};
use crate::network_file::{KEY, NetworkFile};

enum Format {
    Npy,
    Npz(Npz),
    Safetensors(Tensors),
    Pytorch(StateDict),
    Burnpack(Pack),
}

/// An open file of named arrays.
pub(crate) struct ArrayFile {
    path: PathBuf,
    names: Vec<String>,
    format: Format,
}

impl ArrayFile {
    /// Opens a file. Its format is that of its contents, whatever its name.
    ///
    /// # Errors
    /// Returns an error if it holds no arrays that can be read; it says what the file is.
    pub fn open(path: &Path) -> Result<Self> {
        let (format, names) = match sniff(path)? {
            Kind::Npy => {
                let stem = path.file_stem().unwrap_or_default();
                (Format::Npy, vec![stem.to_string_lossy().into_owned()])
            }
            Kind::Zip => {
                let archive = Npz::open(path)?;
                match (archive.is_pytorch(), archive.names()) {
                    (true, _) => {
                        let dict = StateDict::open(path)?;
                        let names = dict.names();
                        (Format::Pytorch(dict), names)
                    }
                    (false, names) if names.is_empty() => {
                        let reason = "is a zip archive without arrays of NumPy or PyTorch";
                        return Err(TrainError::weights(path, reason));
                    }
                    (false, names) => (Format::Npz(archive), names),
                }
            }
            Kind::Safetensors => {
                let tensors = Tensors::open(path)?;
                let names = tensors.names();
                (Format::Safetensors(tensors), names)
            }
            Kind::OldPytorch => {
                let dict = StateDict::open(path)?;
                let names = dict.names();
                (Format::Pytorch(dict), names)
            }
            Kind::Burnpack => {
                let pack = Pack::open(path)?;
                let names = pack.names();
                (Format::Burnpack(pack), names)
            }
        };
        Ok(Self { path: path.to_path_buf(), names, format })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the arrays.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of the array to read: the given one, or that of the only one, or of the atoms of a file of Pudle.
    ///
    /// # Errors
    /// Returns an error if there are several, or none.
    pub fn choose(&self, wanted: Option<&str>) -> Result<String> {
        if let Some(name) = wanted {
            return Ok(name.to_owned());
        }
        // Of an exported file, of one for NumPy, and of the checkpoint of a run.
        let own = ["dictionary.atoms", "atoms", "model.dictionary.atoms"];
        match self.names.as_slice() {
            [] => Err(TrainError::weights(&self.path, "holds no tensor")),
            [only] => Ok(only.clone()),
            names => match own.iter().find(|own| names.iter().any(|name| name == *own)) {
                Some(own) => Ok((*own).to_owned()),
                None => {
                    let names = listed(names.iter().map(String::as_str));
                    Err(TrainError::SeveralTensors { path: self.path.clone(), names })
                }
            },
        }
    }

    /// Reads an array. All of its values are finite.
    ///
    /// # Errors
    /// Returns an error if there is none of this name, or if it does not hold finite floating-point numbers.
    pub fn read(&mut self, name: &str) -> Result<Array> {
        if !self.names.iter().any(|known| known == name) {
            let names = listed(self.names.iter().map(String::as_str));
            let reason = format!("no tensor {name:?} among {names}");
            return Err(TrainError::weights(&self.path, reason));
        }
        match &mut self.format {
            Format::Npy => npy::read(&self.path, name),
            Format::Npz(archive) => archive.read(&self.path, name),
            Format::Safetensors(tensors) => tensors.read(&self.path, name),
            Format::Pytorch(dict) => dict.read(&self.path, name),
            Format::Burnpack(pack) => pack.read(&self.path, name),
        }
    }

    /// What the file says about its network, if it says anything.
    ///
    /// # Errors
    /// Returns an error if that is damaged, or of a newer version.
    pub fn network(&mut self) -> Result<Option<NetworkFile>> {
        let text = match &mut self.format {
            Format::Npy | Format::Pytorch(_) => None,
            Format::Npz(archive) => archive.text(&self.path, KEY)?,
            Format::Safetensors(tensors) => tensors.text(KEY).map(|text| text.as_bytes().to_vec()),
            Format::Burnpack(pack) => pack.text(KEY).map(|text| text.as_bytes().to_vec()),
        };
        text.map(|text| NetworkFile::parse(&text, &self.path)).transpose()
    }
}
