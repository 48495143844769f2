//! The targets of the fuzzers in `fuzz/` on stable Rust: inputs that were found, and seeded changes of whole files.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pudle_core::{AnyPudle, ConvConfig, DenseConfig, PudleConfig};
use pudle_data::{Image, Sigma};
use pudle_train::{Checkpoint, Format, Preset};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "../../../../fuzz/src/targets.rs"]
mod targets;

/// Changed files of each target.
const CHANGES: u64 = 60;

/// Every input in `fuzz/regressions/TARGET`.
#[test]
fn inputs_that_were_found_stay_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions");
    for (name, target) in targets::TARGETS {
        let Ok(entries) = fs::read_dir(folder.join(name)) else { continue };
        for entry in entries {
            target(&fs::read(entry.unwrap().path()).unwrap());
        }
    }
}

/// Settings and descriptions that claim a gigabyte cost neither time nor memory.
#[test]
fn small_files_that_claim_much_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let settings = "[model.dictionary]\nkind = \"dense\"\ndim = 16384\natoms = 16384\n";
    fs::write(dir.path().join("config.toml"), settings).unwrap();
    fs::write(dir.path().join("model.safetensors"), [2, 0, 0, 0, 0, 0, 0, 0, b'{', b'}']).unwrap();
    let error = Checkpoint::read(dir.path(), &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("10 bytes") && error.contains("268435456"), "{error}");
    let thresholds = "threshold = { kind = \"learned\", lambda = 0.1, per_layer = true }";
    let settings = format!(
        "[model]\nlayers = 100000\n{thresholds}\n\
         [model.dictionary]\nkind = \"dense\"\ndim = 1\natoms = 100000\n"
    );
    fs::write(dir.path().join("config.toml"), settings).unwrap();
    let error = Checkpoint::read(dir.path(), &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("model.layers"), "{error}");
}

/// Whole files with bytes replaced, removed and repeated: each is read or refused. A panic fails the test.
#[test]
fn changed_files_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, target) in targets::TARGETS {
        for (k, whole) in seeds(name, dir.path()).into_iter().enumerate() {
            target(&whole);
            for seed in 0..CHANGES {
                target(&changed(&whole, 1000 * k as u64 + seed));
            }
        }
    }
}

fn changed(whole: &[u8], seed: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = whole.to_vec();
    for _ in 0..random.random_range(1..5) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        let end = (at + random.random_range(1..9)).min(bytes.len());
        match random.random_range(0..5) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.random_range(0..5)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            _ => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// Whole files for a target.
fn seeds(name: &str, dir: &Path) -> Vec<Vec<u8>> {
    match name {
        "config" => Preset::ALL
            .iter()
            .map(|preset| {
                let path = dir.join("config.toml");
                preset.config().write(&path).unwrap();
                fs::read(path).unwrap()
            })
            .collect(),
        "idx" => vec![[&[0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[7; 6]].concat()],
        "safetensors" => exported(Format::Safetensors, dir),
        "npz" => exported(Format::Npz, dir),
        "burnpack" => exported(Format::Burnpack, dir),
        "npy" => vec![npy()],
        "matrix" => vec![npy(), b"a,b\n1,2.5\n3,nan\n".to_vec(), b"1\t2\n3\t4\n".to_vec()],
        "checkpoint" => vec![run(dir)],
        "png" | "jpeg" | "tiff" | "webp" => {
            let path = dir.join("photo").with_extension(name);
            [1, 3].map(|channels| picture(channels, &path)).to_vec()
        }
        // A state dict needs Python to write it.
        _ => vec![b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec()],
    }
}

fn models() -> [Checkpoint; 2] {
    let filters = ConvConfig { atoms: 3, channels: 1, size: 3, stride: 2 };
    let dense = PudleConfig::dense(DenseConfig { dim: 4, atoms: 5 });
    [dense, PudleConfig::conv2d(filters)].map(|config| {
        let config = config.with_layers(2);
        let model = AnyPudle::new(&config, 1, &Device::flex()).unwrap();
        Checkpoint {
            config,
            model,
            sigma: Some(Sigma::At(25.0)),
            normalization: pudle_data::Normalization::default(),
        }
    })
}

fn exported(format: Format, dir: &Path) -> Vec<Vec<u8>> {
    let write = |(k, model): (usize, Checkpoint)| {
        let path: PathBuf = dir.join(format!("exported-{k}"));
        model.export(format, &path).unwrap();
        fs::read(path).unwrap()
    };
    models().into_iter().enumerate().map(write).collect()
}

fn npy() -> Vec<u8> {
    let text = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend((0..6).flat_map(|k| (k as f32 * 0.3).sin().to_le_bytes()));
    bytes
}

/// A checkpoint's files one after another.
fn run(dir: &Path) -> Vec<u8> {
    let dir = dir.join("checkpoint-of-a-test");
    models()[1].write(&dir).unwrap();
    let mut bytes = Vec::new();
    for (k, name) in targets::FILES.iter().enumerate().take(3) {
        bytes.extend(format!("####{k}").bytes());
        bytes.extend(fs::read(dir.join(name)).unwrap());
    }
    bytes
}

fn picture(channels: usize, path: &Path) -> Vec<u8> {
    let value = |c: usize, y: usize, x: usize| ((c * 50 + y * 9 + x * 5) % 97) as f32 / 96.0;
    Image::from_fn(channels, 24, 20, value).write(path).unwrap();
    fs::read(path).unwrap()
}
