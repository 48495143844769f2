//! Checkpoints: imported, written, read, exported, damaged; and denoising with them.

use std::fs;
use std::path::Path;

use pudle_core::{
    AnyPudle, Backend, ConvConfig, DenseConfig, DictionaryConfig, PudleConfig, ThresholdConfig,
};
use pudle_data::{Image, Normalization, Sigma, add_validation_noise};
use pudle_train::{
    Checkpoint, Denoiser, Format, ImportOptions, Protocol, Scoring, evaluate, import_dictionary,
};
use safetensors::tensor::{Dtype, TensorView};

fn filters() -> PudleConfig {
    PudleConfig::conv2d(ConvConfig { atoms: 6, channels: 1, size: 5, stride: 2 })
        .with_step(0.1)
        .with_lambda(0.1)
}

fn checkpoint(config: PudleConfig) -> Checkpoint {
    let model = AnyPudle::new(&config, 1, &Backend::Flex.device().unwrap()).unwrap();
    Checkpoint { config, model, sigma: None, normalization: Normalization::none() }
}

fn options(
    tensor: Option<&str>,
    stride: Option<usize>,
    settings: PudleConfig,
) -> ImportOptions<'_> {
    ImportOptions { tensor, stride, settings: Some(settings), ..ImportOptions::default() }
}

fn read(dir: &Path) -> pudle_train::Result<Checkpoint> {
    Checkpoint::read(dir, &Backend::Flex.device().unwrap())
}

#[test]
fn what_is_written_is_read() {
    for config in [
        filters(),
        filters().with_threshold(ThresholdConfig::learned(0.3)),
        PudleConfig::dense(DenseConfig { dim: 4, atoms: 7 }),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut written = checkpoint(config);
        written.sigma = Some(Sigma::At(15.0));
        written.write(dir.path()).unwrap();
        let back = read(dir.path()).unwrap();
        assert_eq!((&back.config, back.sigma), (&written.config, written.sigma));
        assert_eq!(back.model.atoms(), written.model.atoms());
        let lambda = |checkpoint: &Checkpoint| {
            checkpoint.model.weight("threshold.lambda").map(|weight| weight.to_vec())
        };
        assert_eq!(lambda(&back), lambda(&written));
    }
}

/// The published denoiser from a file of its filters to the estimate of a picture that the strided
/// filters do not cover, against plain loops in f64.
#[test]
fn an_imported_denoiser_is_the_naive_network() {
    let dir = tempfile::tempdir().unwrap();
    let device = Backend::Flex.device().unwrap();
    let path = dir.path().join("bank.safetensors");
    let (p, k, s, layers, alpha, lambda) = (64, 9, 4, 15, 0.1, 0.16);
    let data = write_bank(&path, &[("w", vec![p, 1, k, k])]);
    let settings = filters().with_step(alpha).with_lambda(lambda).with_layers(layers);
    import_dictionary(&path, &options(None, Some(s), settings), &device)
        .unwrap()
        .checkpoint
        .write(&dir.path().join("model"))
        .unwrap();
    let denoiser = Denoiser::load(&dir.path().join("model"), &device).unwrap();
    let (height, width) = (22, 31);
    let image = Image::from_fn(1, height, width, |_, y, x| ((y * 7 + x * 5) % 23) as f32 / 23.0);
    let estimate = denoiser.denoise(&image, None).unwrap();

    let d: Vec<f64> = data[0]
        .chunks(4)
        .map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())))
        .collect();
    // 22 and 31 are covered from 25 and 33 on.
    let (h, w) = (25, 33);
    let reflected = |i: usize, n: usize| if i < n { i } else { 2 * (n - 1) - i };
    let x: Vec<f64> = (0..h * w)
        .map(|i| f64::from(image.data[reflected(i / w, height) * width + reflected(i % w, width)]))
        .collect();
    let (rows, columns) = ((h - k) / s + 1, (w - k) / s + 1);
    // Every place of a code with the pixels and weights under it.
    let under = |j: usize, u: usize, v: usize| {
        (0..k * k).map(move |i| ((u * s + i / k) * w + v * s + i % k, (j * k * k) + i))
    };
    let places: Vec<(usize, usize, usize)> = (0..p)
        .flat_map(|j| (0..rows).flat_map(move |u| (0..columns).map(move |v| (j, u, v))))
        .collect();
    let synthesize = |z: &[f64]| {
        let mut image = vec![0.0; h * w];
        for (z, (j, u, v)) in z.iter().zip(&places) {
            under(*j, *u, *v).for_each(|(pixel, weight)| image[pixel] += z * d[weight]);
        }
        image
    };
    let mut z = vec![0.0; places.len()];
    for _ in 0..layers {
        let residual: Vec<f64> = synthesize(&z).iter().zip(&x).map(|(dz, x)| dz - x).collect();
        for (z, (j, u, v)) in z.iter_mut().zip(&places) {
            let gradient: f64 = under(*j, *u, *v).map(|(i, weight)| residual[i] * d[weight]).sum();
            let moved = *z - alpha * gradient;
            *z = moved.signum() * (moved.abs() - alpha * lambda).max(0.0);
        }
    }
    let expected = synthesize(&z);
    let largest = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let zeros = z.iter().filter(|z| **z == 0.0).count();
    assert!(largest > 0.1 && largest < 10.0 && zeros > 10, "{largest}, {zeros} zeros");
    for (i, value) in estimate.data.iter().enumerate() {
        let expected = expected[i / width * w + i % width];
        assert!((f64::from(*value) - expected).abs() < 1e-5 * largest, "{value} {expected}");
    }
}

#[test]
fn damaged_checkpoints_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(filters()).write(dir.path()).unwrap();
    let weights = dir.path().join("model.safetensors");
    let config = dir.path().join("config.toml");
    let (bytes, text) = (fs::read(&weights).unwrap(), fs::read_to_string(&config).unwrap());
    let assert_error = |names: &[&str]| {
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(names.iter().all(|name| error.contains(name)), "{error}");
    };
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert_error(&["model.safetensors"]);
    fs::write(&weights, b"").unwrap();
    assert_error(&["model.safetensors"]);
    let mut broken = bytes.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, &broken).unwrap();
    assert_error(&["model.safetensors", "checksum"]);
    // Checkpoints of older versions have no checksum.
    fs::remove_file(dir.path().join("model.safetensors.sha256")).unwrap();
    assert_error(&["model.safetensors", "dictionary.atoms", "NaN", "finite"]);
    fs::write(&weights, &bytes).unwrap();
    fs::write(&config, text.replace("atoms = 6", "atoms = 5")).unwrap();
    assert_error(&["model.safetensors", "[6, 1, 5, 5]", "[5, 1, 5, 5]"]);
    fs::write(&config, text.replace("lambda = 0.1", "lambda = nan")).unwrap();
    assert_error(&["config.toml", "model.threshold.lambda", "NaN"]);
    fs::write(&config, text.replace("layers", "layrs")).unwrap();
    assert_error(&["config.toml", "layrs"]);
    fs::remove_file(&config).unwrap();
    assert_error(&["config.toml"]);
}

fn write_bank(path: &Path, tensors: &[(&str, Vec<usize>)]) -> Vec<Vec<u8>> {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| {
            let count = shape.iter().product::<usize>();
            // Scattered, and of about unit norm for 9×9 filters.
            let value = |i: usize| ((i * (i + 1) % 1009) as f32 / 1009.0 - 0.5) * 0.38;
            (0..count).flat_map(|i| value(i).to_le_bytes()).collect()
        })
        .collect();
    let views: Vec<(&str, TensorView)> = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| {
            (*name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
        })
        .collect();
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    data
}

#[test]
fn imports_hold_the_atoms_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let device = Backend::Flex.device().unwrap();
    let path = dir.path().join("bank.safetensors");
    let import = |tensor, stride| {
        import_dictionary(&path, &options(tensor, stride, filters()), &device)
            .map(|imported| imported.checkpoint)
    };
    let data = write_bank(&path, &[("w", vec![6, 1, 9, 9])]);
    let imported = import(None, Some(4)).unwrap();
    let expected: Vec<f32> =
        data[0].chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!(imported.model.atoms(), expected);
    assert_eq!(
        imported.config.dictionary,
        DictionaryConfig::Conv2d(ConvConfig { atoms: 6, channels: 1, size: 9, stride: 4 })
    );
    assert!(import(None, None).unwrap_err().to_string().contains("its stride is needed"));
    assert!(import(None, Some(10)).unwrap_err().to_string().contains("stride"));
    assert!(import(Some("v"), Some(4)).unwrap_err().to_string().contains("\"v\""));

    write_bank(&path, &[("a", vec![4, 6]), ("b", vec![2, 3, 4]), ("c", vec![2, 1, 3, 4])]);
    assert!(
        import(None, None).unwrap_err().to_string().contains("the name of one of them is needed")
    );
    let matrix = import(Some("a"), None).unwrap();
    assert_eq!(matrix.config.dictionary, DictionaryConfig::Dense(DenseConfig { dim: 4, atoms: 6 }));
    assert!(import(Some("a"), Some(1)).unwrap_err().to_string().contains("matrix"));
    assert_eq!(
        import(Some("b"), Some(1)).unwrap().config.dictionary,
        DictionaryConfig::Conv1d(ConvConfig { atoms: 2, channels: 3, size: 4, stride: 1 })
    );
    assert!(import(Some("c"), Some(1)).unwrap_err().to_string().contains("not square"));
}

#[test]
fn exports_hold_the_atoms() {
    let dir = tempfile::tempdir().unwrap();
    let config = filters().with_threshold(ThresholdConfig::learned(0.3));
    let checkpoint = checkpoint(config);
    let (atoms, shape) = (checkpoint.model.atoms(), checkpoint.config.dictionary.shape());

    let npz = dir.path().join("model.npz");
    checkpoint.export(Format::Npz, &npz).unwrap();
    let mut archive = zip::ZipArchive::new(fs::File::open(&npz).unwrap()).unwrap();
    let array = npyz::NpyFile::new(archive.by_name("atoms.npy").unwrap()).unwrap();
    assert_eq!(array.shape(), shape.iter().map(|axis| *axis as u64).collect::<Vec<_>>());
    assert_eq!(array.into_vec::<f32>().unwrap(), atoms);
    let lambda = npyz::NpyFile::new(archive.by_name("lambda.npy").unwrap()).unwrap();
    assert_eq!(lambda.into_vec::<f32>().unwrap(), vec![0.3f32; 6]);

    let path = dir.path().join("model.safetensors");
    checkpoint.export(Format::Safetensors, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("dictionary.atoms").unwrap().shape(), shape);
    assert_eq!(file.tensor("threshold.lambda").unwrap().shape(), [1, 6]);

    // The extension is the user's business.
    let picture = dir.path().join("atoms");
    checkpoint.export(Format::Png, &picture).unwrap();
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));

    let nowhere = dir.path().join("missing/atoms.npz");
    assert!(checkpoint.export(Format::Npz, &nowhere).is_err());
}

#[test]
fn pictures_show_every_kind_of_atom() {
    for config in [
        filters(),
        PudleConfig::conv2d(ConvConfig { atoms: 5, channels: 3, size: 4, stride: 2 }),
        PudleConfig::conv2d(ConvConfig { atoms: 5, channels: 2, size: 4, stride: 2 }),
        PudleConfig::dense(DenseConfig { dim: 16, atoms: 3 }),
        PudleConfig::dense(DenseConfig { dim: 7, atoms: 1 }),
        PudleConfig::conv1d(ConvConfig { atoms: 4, channels: 2, size: 9, stride: 1 }),
    ] {
        let channels = match config.dictionary {
            DictionaryConfig::Conv2d(filters) if filters.channels == 3 => 3,
            _ => 1,
        };
        let picture = pudle_train::atoms_picture(&checkpoint(config).model).unwrap();
        assert_eq!(picture.channels, channels);
        // A white border, and something that is neither white nor mid-grey.
        assert_eq!(picture.data[0], 1.0);
        assert!(picture.data.iter().any(|value| *value < 0.4));
    }
}

#[test]
fn the_denoiser_follows_the_noise_level_it_was_trained_for() {
    let device = Backend::Flex.device().unwrap();
    let mut trained = checkpoint(filters());
    let plain = Denoiser::new(trained.clone(), "plain", &device).unwrap();
    trained.sigma = Some(Sigma::At(25.0));
    let scaled = Denoiser::new(trained, "scaled", &device).unwrap();
    let image = Image::from_fn(1, 20, 31, |_, y, x| ((y * 3 + x) % 17) as f32 / 17.0);
    let same = plain.denoise(&image, None).unwrap();
    assert_eq!(same, plain.denoise(&image, Some(50.0)).unwrap());
    assert_eq!(same, scaled.denoise(&image, Some(25.0)).unwrap());
    // f(x/2)·2 for twice the noise.
    let half = Image::from_fn(1, 20, 31, |_, y, x| image.data[y * 31 + x] * 0.5);
    let expected = plain.denoise(&half, None).unwrap();
    let twice = scaled.denoise(&image, Some(50.0)).unwrap();
    for (a, b) in twice.data.iter().zip(&expected.data) {
        assert!((a - 2.0 * b).abs() < 1e-5);
    }
}

#[test]
fn colour_passes_channel_by_channel_through_a_grey_model() {
    let device = Backend::Flex.device().unwrap();
    let denoiser = Denoiser::new(checkpoint(filters()), "grey", &device).unwrap();
    let colour = Image::from_fn(3, 12, 15, |c, y, x| ((c * 5 + y * 3 + x) % 11) as f32 / 11.0);
    let estimate = denoiser.denoise(&colour, None).unwrap();
    for c in 0..3 {
        let grey = Image::new(1, 12, 15, colour.data[c * 180..(c + 1) * 180].to_vec()).unwrap();
        let single = denoiser.denoise(&grey, None).unwrap();
        for (a, b) in single.data.iter().zip(&estimate.data[c * 180..]) {
            assert!((a - b).abs() < 1e-6);
        }
    }
    let small = Image::from_fn(1, 4, 40, |_, _, _| 0.5);
    assert_eq!(denoiser.denoise(&small, None).unwrap().shape(), [1, 4, 40]);
}

#[test]
fn protocols_differ_by_the_peak() {
    let device = Backend::Flex.device().unwrap();
    let denoiser = Denoiser::new(checkpoint(filters()), "grey", &device).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let image = Image::from_fn(1, 40, 40, |_, y, x| ((y / 8 + x / 8) % 2) as f32 * 102.0 / 255.0);
    image.write(&dir.path().join("a.png")).unwrap();
    image.write(&dir.path().join("b.png")).unwrap();
    fs::write(dir.path().join("c.png"), "not a picture").unwrap();
    let score = |protocol| {
        evaluate(&denoiser, dir.path(), Scoring { protocol, ..Scoring::new(25.0) }, |_| Ok(()))
            .unwrap()
    };
    let (full, paper) = (score(Protocol::Full), score(Protocol::Paper));
    assert_eq!(full.images.len(), 2);
    // Same noise under both, other noise in each picture.
    let noisy = add_validation_noise(&image, 25.0, 0, 0);
    assert!((full.images[0].noisy_psnr - noisy.psnr(&image, 1.0)).abs() < 1e-6);
    assert_ne!(full.images[0].noisy_psnr, full.images[1].noisy_psnr);
    // A peak of 0.4 instead of 1.
    let offset = -20.0 * 0.4f64.log10();
    assert!((full.mean_psnr - paper.mean_psnr - offset).abs() < 1e-6);
    assert_eq!(full.mean_ssim, paper.mean_ssim);
}

#[test]
fn burn_version_is_the_workspace_pin() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let burn = pudle_train::Versions::default().burn;
    assert!(manifest.contains(&format!("burn = {{ version = \"={burn}\"")));
}
