use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pudle_core::{DenseConfig, PudleConfig};
use pudle_data::{ColorMode, Idx, Image, Matrix, Photo, Rows};
use pudle_train::{Checkpoint, ImportOptions, RunConfig, compare_data, import_dictionary};

/// A function that reads bytes of any kind, and its name.
type Target = (&'static str, fn(&[u8]));

/// The names of all targets, with their functions.
#[allow(dead_code)]
pub const TARGETS: [Target; 13] = [
    ("config", config),
    ("idx", idx),
    ("safetensors", import),
    ("npy", import),
    ("npz", import),
    ("pytorch", import),
    ("burnpack", import),
    ("matrix", matrix),
    ("checkpoint", checkpoint),
    ("png", picture),
    ("jpeg", picture),
    ("tiff", picture),
    ("webp", picture),
];

/// Settings: what is valid survives a round trip.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("config.toml");
    let Ok(config) = RunConfig::parse(text, path) else { return };
    if config.validate_from(path).is_ok() {
        let again = toml::to_string(&config).expect("valid settings can be written");
        let read = RunConfig::parse(&again, path).expect("what was written can be read");
        assert_eq!(read, config, "{again}");
    }
}

/// An IDX file, plain or gzipped.
pub fn idx(bytes: &[u8]) {
    let file = File::new("some-idx", bytes);
    if let Ok(idx) = Idx::read(&file.path) {
        assert_eq!(idx.dims.iter().product::<usize>(), idx.data.len());
    }
}

/// A file of arrays that is imported as a dictionary.
pub fn import(bytes: &[u8]) {
    let file = File::new("atoms", bytes);
    let pick = picked(bytes);
    let settings = PudleConfig::dense(DenseConfig { dim: 1, atoms: 1 }).with_layers(2);
    let named = ImportOptions {
        transpose: [None, Some(true), Some(false), None][usize::from(pick % 4)],
        stride: (pick & 4 != 0).then_some(1),
        settings: Some(settings),
        ..ImportOptions::default()
    };
    for options in [ImportOptions::default(), named] {
        if let Ok(imported) = import_dictionary(&file.path, &options, &Device::flex()) {
            let atoms = imported.checkpoint.model.atoms();
            assert!(atoms.iter().all(|value| value.is_finite()));
            let _ = imported.checkpoint.to_string();
        }
    }
}

/// A matrix whose rows are data.
pub fn matrix(bytes: &[u8]) {
    let file = File::new("rows.csv", bytes);
    let Ok(matrix) = Matrix::open(&file.path, None, picked(bytes) & 1 == 1) else { return };
    assert!(matrix.len() > 0 && matrix.width() > 0);
    let mut rows = vec![0.0; matrix.width()];
    for row in [0, matrix.len() - 1] {
        let _ = matrix.read(row, &mut rows);
    }
}

/// The folder of a run or of a checkpoint. Its files stand one after another, each behind `####` and a digit.
pub fn checkpoint(bytes: &[u8]) {
    let dir = folder().join("run");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("checkpoint")).expect("the folder is new");
    for (name, part) in parts(bytes) {
        fs::write(dir.join(name), part).expect("the file is written");
    }
    if let Ok(checkpoint) = Checkpoint::read(&dir, &Device::flex()) {
        let _ = checkpoint.to_string();
        if let Ok(config) = RunConfig::read(&dir.join("config.toml")) {
            let _ = compare_data(&dir, &config);
        }
    }
}

/// The files of a run, in the order of their digits.
pub const FILES: [&str; 8] = [
    "config.toml",
    "model.safetensors",
    "model.safetensors.sha256",
    "checkpoint/model-3.bpk",
    "checkpoint/optim-3.bpk",
    "checkpoint/scheduler-3.bpk",
    "checkpoint/checkpoint-3.sha256",
    "record.toml",
];

fn parts(bytes: &[u8]) -> Vec<(&'static str, &[u8])> {
    let marks: Vec<usize> = (0..bytes.len().saturating_sub(4))
        .filter(|at| bytes[*at..].starts_with(b"####") && (b'0'..b'8').contains(&bytes[at + 4]))
        .collect();
    let ends = marks.iter().skip(1).copied().chain([bytes.len()]);
    let part = |(at, end): (&usize, usize)| {
        (FILES[usize::from(bytes[at + 4] - b'0')], &bytes[at + 5..end.max(at + 5)])
    };
    marks.iter().zip(ends).map(part).collect()
}

/// A picture of any format: as it is denoised, and as it is trained on.
pub fn picture(bytes: &[u8]) {
    let file = File::new("photo.png", bytes);
    if let Ok(photo) = Photo::read(&file.path) {
        let _ = photo.checksum();
    }
    if let Ok(image) = Image::read(&file.path, ColorMode::AsIs) {
        assert_eq!(image.data.len(), image.channels * image.height * image.width);
    }
}

/// A number that the contents determine, for the choice of options.
fn picked(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.rotate_left(3) ^ byte)
}

/// A folder of this thread, in the folder of temporary files.
fn folder() -> PathBuf {
    thread_local! {
        static DIR: tempfile::TempDir = tempfile::tempdir().expect("a temporary folder");
    }
    DIR.with(|dir| dir.path().to_path_buf())
}

struct File {
    path: PathBuf,
}

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = folder().join(name);
        fs::write(&path, bytes).expect("the file is written");
        Self { path }
    }
}
