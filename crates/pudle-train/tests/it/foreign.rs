//! Files of other programs: dictionaries, networks, and files that are none.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use npyz::WriterBuilder;
use pudle_core::{
    AnyPudle, Backend, DenseConfig, Kernels, Noise, PudleConfig, ThresholdConfig, WeightTying,
};
use pudle_train::{ImportOptions, Imported, import_dictionary};
use safetensors::tensor::{Dtype, TensorView};

const M: usize = 4;
const P: usize = 6;

fn settings() -> PudleConfig {
    PudleConfig::dense(DenseConfig { dim: 1, atoms: 1 }).with_step(0.5).with_lambda(0.1)
}

fn import(path: &Path, options: ImportOptions<'_>) -> pudle_train::Result<Imported> {
    let settings = options.settings.clone().or_else(|| Some(settings()));
    let options = ImportOptions { settings, ..options };
    import_dictionary(path, &options, &Backend::Flex.device().unwrap())
}

/// A matrix with columns of norm 1, row by row.
fn matrix() -> Vec<f32> {
    let mut values: Vec<f32> = (0..M * P).map(|k| ((k * k + 3) as f32).sin()).collect();
    for j in 0..P {
        let norm = (0..M).map(|i| values[i * P + j].powi(2)).sum::<f32>().sqrt();
        (0..M).for_each(|i| values[i * P + j] /= norm);
    }
    values
}

fn transposed() -> Vec<f32> {
    let values = matrix();
    (0..M * P).map(|k| values[k % M * P + k / M]).collect()
}

fn npy(values: &[f32], shape: &[u64], order: npyz::Order) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::<f32>::new().default_dtype().shape(shape).order(order);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn npz(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn safetensors(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&data).map(|((name, shape, _), data)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("file");
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The one line of the error of an import.
    fn error(&self, bytes: &[u8]) -> String {
        let text = import(&self.file(bytes), ImportOptions::default()).unwrap_err().to_string();
        assert!(!text.contains('\n'), "{text}");
        assert!(text.contains(self.0.path().to_str().unwrap()), "{text}");
        text
    }
}

#[test]
fn arrays_of_numpy_are_read_in_both_orders_and_orientations() {
    let folder = Folder::new();
    let shape = [M as u64, P as u64];
    let turned = [P as u64, M as u64];
    let files = [
        npy(&matrix(), &shape, npyz::Order::C),
        npy(&transposed(), &shape, npyz::Order::Fortran),
        npy(&transposed(), &turned, npyz::Order::C),
        npz(&[("D.npy", npy(&matrix(), &shape, npyz::Order::C))]),
        safetensors(&[("components_", vec![P, M], transposed())]),
    ];
    for (k, bytes) in files.iter().enumerate() {
        let imported = import(&folder.file(bytes), ImportOptions::default()).unwrap();
        assert_eq!(imported.checkpoint.model.atoms(), matrix(), "{k}");
        assert!(imported.notes.iter().any(|note| note.contains("norm 1")), "{:?}", imported.notes);
    }
    // The wish decides before the norms, and norms other than 1 are said.
    let wish = ImportOptions { transpose: Some(true), ..ImportOptions::default() };
    let imported = import(&folder.file(&files[0]), wish).unwrap();
    assert_eq!(imported.checkpoint.model.atoms(), transposed());
    assert!(imported.notes.iter().any(|note| note.contains("not 1")), "{:?}", imported.notes);
}

#[test]
fn one_array_of_several_is_named() {
    let folder = Folder::new();
    let array = npy(&matrix(), &[M as u64, P as u64], npyz::Order::C);
    let path = folder.file(&npz(&[("a.npy", array.clone()), ("b.npy", array)]));
    let text = import(&path, ImportOptions::default()).unwrap_err().to_string();
    assert!(text.contains("\"a\", \"b\""), "{text}");
    let named = ImportOptions { tensor: Some("b"), ..ImportOptions::default() };
    assert_eq!(import(&path, named).unwrap().checkpoint.model.atoms(), matrix());
}

#[test]
fn a_network_has_banks_and_thresholds_of_its_own() {
    let folder = Folder::new();
    let half: Vec<f32> = matrix().iter().map(|v| v / 2.0).collect();
    let decoder: Vec<f32> = matrix().iter().map(|v| v * 3.0).collect();
    let mut levels = vec![0.05; P];
    levels[2] = -0.1;
    let path = folder.file(&safetensors(&[
        ("A", vec![M, P], matrix()),
        // As the weights of a linear layer: p×m.
        ("B", vec![P, M], (0..M * P).map(|k| half[k % M * P + k / M]).collect()),
        ("C", vec![M, P], decoder.clone()),
        ("t", vec![1, P], levels.clone()),
    ]));
    let options = ImportOptions {
        tensor: Some("A"),
        analysis: Some("B"),
        decoder: Some("C"),
        thresholds: Some("t"),
        ..ImportOptions::default()
    };
    let imported = import(&path, options.clone()).unwrap();
    let model = &imported.checkpoint.model;
    assert_eq!(imported.checkpoint.config.tying, WeightTying::Untied);
    assert_eq!(model.weight("analysis.atoms").unwrap().to_vec(), half);
    assert_eq!(model.weight("decoder.atoms").unwrap().to_vec(), decoder);
    // Levels are αλ, with α = 0.5.
    let lambda = model.lambda(0, &Noise::Unknown);
    assert!(lambda.iter().zip(&levels).all(|(lambda, level)| (lambda * 0.5 - level).abs() < 1e-7));
    assert!(imported.checkpoint.config.threshold.is_signed());
    assert!(imported.notes.iter().any(|note| note.contains("1 of 6 thresholds")));

    let wrong = ImportOptions { thresholds: Some("A"), ..options.clone() };
    assert!(import(&path, wrong).unwrap_err().to_string().contains("thresholds have"));
    let wrong = ImportOptions { decoder: Some("t"), ..options };
    assert!(import(&path, wrong).unwrap_err().to_string().contains("does not fit"));
}

#[test]
fn signed_thresholds_survive_a_checkpoint() {
    let folder = Folder::new();
    let path =
        folder.file(&safetensors(&[("A", vec![M, P], matrix()), ("t", vec![1], vec![-0.1])]));
    let options =
        ImportOptions { tensor: Some("A"), thresholds: Some("t"), ..ImportOptions::default() };
    let imported = import(&path, options).unwrap();
    let dir = folder.0.path().join("model");
    imported.checkpoint.write(&dir).unwrap();
    let back = pudle_train::Checkpoint::read(&dir, &Backend::Flex.device().unwrap()).unwrap();
    assert_eq!(back.config, imported.checkpoint.config);
    assert_eq!(back.model.lambda(0, &Noise::Unknown), vec![-0.2; P]);
    let plain = PudleConfig { threshold: ThresholdConfig::learned(0.1), ..settings() };
    assert!(!plain.threshold.is_signed());
}

#[test]
fn files_that_hold_no_arrays_are_named() {
    let folder = Folder::new();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1600\n";
    assert!(folder.error(pointer).contains("Git LFS"));
    assert!(folder.error(b"<!DOCTYPE html><html>404</html>").contains("HTML"));
    assert!(folder.error(b"").contains("is empty"));
    assert!(folder.error(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").contains("picture"));
    assert!(folder.error(b"1,2,3\n4,5,6\n").contains("text"));
    assert!(folder.error(&npz(&[("readme.txt", b"hello".to_vec())])).contains("zip archive"));
    let missing = import(Path::new("/nowhere/D.npy"), ImportOptions::default()).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/D.npy"));
}

/// A pickle that would run a command in Python.
const REDUCE: &[u8] = b"cos\nsystem\n(S'touch pwned'\ntR.";

#[test]
fn no_pickle_is_run() {
    let folder = Folder::new();
    let mut plain = b"\x80\x02".to_vec();
    plain.extend(REDUCE);
    assert!(folder.error(&plain).contains("never run"));
    let text =
        folder.error(&npz(&[("archive/data.pkl", plain), ("archive/version", b"3\n".to_vec())]));
    assert!(text.contains("state dict"), "{text}");
    // An array of objects is a pickle, too.
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
    let mut objects = b"\x93NUMPY\x01\0".to_vec();
    objects.extend((header.len() as u16).to_le_bytes());
    objects.extend(header.as_bytes());
    objects.extend(REDUCE);
    assert!(folder.error(&objects).contains("never run"));
    assert!(!Path::new("pwned").exists() && !folder.0.path().join("pwned").exists());
}

#[test]
fn damaged_arrays_are_refused() {
    let folder = Folder::new();
    let shape = [M as u64, P as u64];
    let good = npy(&matrix(), &shape, npyz::Order::C);
    assert!(folder.error(&good[..good.len() - 10]).contains("truncated"));
    assert!(folder.error(&good[..20]).contains("truncated"));
    let mut values = matrix();
    values[2 * P + 2] = f32::NAN;
    let text = folder.error(&npy(&values, &shape, npyz::Order::C));
    assert!(text.contains("[2, 2]") && text.contains("not finite"), "{text}");
    let mut brackets = b"\x93NUMPY\x01\0".to_vec();
    brackets.extend(9000u16.to_le_bytes());
    brackets.extend([b'('; 9000]);
    assert!(folder.error(&brackets).contains("brackets"));
    let archive = npz(&[("D.npy", good)]);
    assert!(folder.error(&archive[..archive.len() / 2]).contains("truncated"));
    assert!(folder.error(&npy(&[0.0; M * P], &shape, npyz::Order::C)).contains("but zero"));
    let text = folder.error(&npy(&[], &[0, P as u64], npyz::Order::C));
    assert!(text.contains("[0, 6]") && text.contains("no numbers"), "{text}");
}

#[test]
fn headers_that_lie_are_refused_without_the_memory_they_claim() {
    let folder = Folder::new();
    let raw = |header: &str, length: u64, data: usize| {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; data]);
        bytes
    };
    assert!(folder.error(&raw("{}", 1 << 63, 0)).contains("header"));
    assert!(folder.error(&raw("{}", 130_000_000, 0)).contains("header"));
    let lies =
        r#"{"D":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,16]}}"#;
    assert!(folder.error(&raw(lies, lies.len() as u64, 16)).contains("damaged"));
    let hole = r#"{"D":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]}}"#;
    assert!(folder.error(&raw(hole, hole.len() as u64, 32)).contains("damaged"));
    // A bomb: 128 MiB of zeros in a fraction of one.
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", 1 << 25);
    let mut bomb = b"\x93NUMPY\x01\0".to_vec();
    bomb.extend((header.len() as u16).to_le_bytes());
    bomb.extend(header.as_bytes());
    bomb.resize(bomb.len() + (4 << 25), 0);
    assert!(folder.error(&npz(&[("D.npy", bomb)])).contains("zip bomb"));
}

/// Thresholds below zero in the fused and in the composed pass, and in plain loops.
#[test]
fn signed_thresholds_are_the_difference_of_two_relus() {
    let folder = Folder::new();
    let mut levels = vec![0.05f32; P];
    levels[1] = -0.2;
    levels[4] = -0.01;
    let path =
        folder.file(&safetensors(&[("A", vec![M, P], matrix()), ("t", vec![P], levels.clone())]));
    let settings = settings().with_layers(3);
    let options = ImportOptions {
        tensor: Some("A"),
        thresholds: Some("t"),
        settings: Some(settings),
        ..ImportOptions::default()
    };
    let AnyPudle::Dense(model) = import(&path, options).unwrap().checkpoint.model else {
        panic!("a matrix")
    };
    let (a, x) = (matrix(), [0.4f32, -0.1, 0.05, 0.3]);
    let shrink = |v: f32, j: usize| (v - levels[j]).max(0.0) - (-v - levels[j]).max(0.0);
    let synthesis = |z: &[f32]| -> Vec<f32> {
        (0..M).map(|i| (0..P).map(|j| a[i * P + j] * z[j]).sum()).collect()
    };
    let mut z = vec![0.0f32; P];
    for _ in 0..3 {
        let data = synthesis(&z);
        let ascent = |j: usize| -> f32 { (0..M).map(|i| a[i * P + j] * (x[i] - data[i])).sum() };
        z = (0..P).map(|j| shrink(z[j] + 0.5 * ascent(j), j)).collect();
    }
    let expected = synthesis(&z);
    let device = Backend::Flex.device().unwrap();
    for kernels in [Kernels::Auto, Kernels::Composed] {
        let model = model.clone().with_kernels(kernels).unwrap();
        let x = burn::tensor::Tensor::<2>::from_data([x], &device);
        let found: Vec<f32> =
            model.reconstruct(x, &Noise::Unknown).into_data().iter::<f32>().collect();
        let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{kernels:?}: {found:?}, not {expected:?}");
    }
}
