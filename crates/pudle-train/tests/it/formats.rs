//! Networks that leave in every format and come back.

use std::fs;
use std::path::Path;

use pudle_core::{
    Algorithm, AnyPudle, Backend, ConvConfig, DenseConfig, Learned, Proximal, PudleConfig,
    ThresholdConfig, WeightTying,
};
use pudle_data::{Normalization, Normalize, Sigma};
use pudle_train::{Checkpoint, ExportOptions, Format, ImportOptions, import_dictionary};

fn filters() -> PudleConfig {
    PudleConfig::conv2d(ConvConfig { atoms: 6, channels: 1, size: 5, stride: 2 })
        .with_step(0.1)
        .with_lambda(0.1)
}

fn networks() -> Vec<Checkpoint> {
    let learned = ThresholdConfig::Learned(Learned {
        lambda: 0.2,
        per_layer: true,
        sigma: Some(25.0),
        signed: false,
    });
    let configs = [
        filters(),
        filters().with_threshold(learned).with_tying(WeightTying::Gain).with_offset(0.5),
        filters().with_threshold(ThresholdConfig::learned(0.3)).with_tying(WeightTying::Untied),
        filters().with_threshold(ThresholdConfig::decaying(0.3, 0.9)),
        PudleConfig::dense(DenseConfig { dim: 4, atoms: 7 }).with_algorithm(Algorithm::Fista),
        PudleConfig::dense(DenseConfig { dim: 4, atoms: 7 }).with_learned_step(0.2),
        PudleConfig::conv1d(ConvConfig { atoms: 3, channels: 2, size: 4, stride: 1 })
            .with_prox(Proximal::Relu)
            .with_tying(WeightTying::Decoder),
    ];
    let device = Backend::Flex.device().unwrap();
    let with_sigma = |(k, config): (usize, PudleConfig)| {
        let model = AnyPudle::new(&config, 1, &device).unwrap();
        Checkpoint {
            config,
            model,
            sigma: (k == 1).then_some(Sigma::Between([5.0, 50.0])),
            normalization: Normalization::none(),
        }
    };
    configs.into_iter().enumerate().map(with_sigma).collect()
}

fn import(path: &Path) -> pudle_train::Result<Checkpoint> {
    let device = Backend::Flex.device().unwrap();
    import_dictionary(path, &ImportOptions::default(), &device).map(|imported| imported.checkpoint)
}

#[test]
fn every_format_brings_the_same_network_back() {
    let dir = tempfile::tempdir().unwrap();
    for format in [Format::Safetensors, Format::Npz, Format::Burnpack] {
        for (k, network) in networks().into_iter().enumerate() {
            // The name does not tell the format.
            let path = dir.path().join(format!("{k}.{format}.bin"));
            network.export(format, &path).unwrap();
            let back = import(&path).unwrap();
            assert_eq!(back.config, network.config, "{format} {k}");
            assert_eq!(back.sigma, network.sigma);
            let weights = |checkpoint: &Checkpoint| {
                let weights = checkpoint.model.weights().into_iter();
                weights.map(|weight| (weight.path.clone(), weight.to_vec())).collect::<Vec<_>>()
            };
            assert_eq!(weights(&back), weights(&network), "{format} {k}");
            // Equal models give equal files.
            let again = dir.path().join("again");
            back.export(format, &again).unwrap();
            assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap(), "{format} {k}");
        }
    }
}

/// A network for vectors whose data are normalised.
fn normalized(kind: Normalize) -> Checkpoint {
    let config = PudleConfig::dense(DenseConfig { dim: 4, atoms: 7 });
    let model = AnyPudle::new(&config, 1, &Backend::Flex.device().unwrap()).unwrap();
    let numbers =
        |used: bool, from: f32| if used { vec![from, 0.1, 1.0 / 3.0, 1e-7] } else { vec![] };
    let (mean, scale) = (numbers(kind.centers(), -2.0), numbers(kind.scales(), 2.0));
    let normalization = Normalization::new(kind, 4, mean, scale).unwrap();
    Checkpoint { config, model, sigma: None, normalization }
}

#[test]
fn the_normalisation_goes_where_the_network_goes() {
    let kinds = [Normalize::Center, Normalize::Scale, Normalize::CenterScale, Normalize::Unit];
    for network in kinds.map(normalized) {
        let dir = tempfile::tempdir().unwrap();
        network.write(dir.path()).unwrap();
        let device = Backend::Flex.device().unwrap();
        let read = |dir: &Path| Checkpoint::read(dir, &device);
        assert_eq!(read(dir.path()).unwrap().normalization, network.normalization);
        for format in [Format::Safetensors, Format::Npz, Format::Burnpack] {
            let path = dir.path().join(format!("network.{format}"));
            network.export(format, &path).unwrap();
            assert_eq!(import(&path).unwrap().normalization, network.normalization, "{format}");
        }
        network.export(Format::Onnx, &dir.path().join("network.onnx")).unwrap();
        // A damaged file is found, and a network without normalisation takes the file away.
        let path = dir.path().join("normalization.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("normalization.safetensors"), "{error}");
        let plain = Checkpoint { normalization: Normalization::none(), ..network };
        plain.write(dir.path()).unwrap();
        assert!(read(dir.path()).unwrap().normalization.is_none());
        assert!(!path.exists());
    }
}

#[test]
fn a_file_describes_its_network_to_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.safetensors");
    networks()[1].export(Format::Safetensors, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let text = metadata.metadata().as_ref().unwrap()["pudle"].clone();
    for part in
        ["\"format\":1", "\"stride\":2", "\"prox\":\"soft\"", "\"offset\":0.5", "[5.0,50.0]"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let npz = dir.path().join("network.npz");
    networks()[0].export(Format::Npz, &npz).unwrap();
    let mut archive = zip::ZipArchive::new(fs::File::open(&npz).unwrap()).unwrap();
    let mut scalar = |name: &str| {
        let array = npyz::NpyFile::new(archive.by_name(&format!("{name}.npy")).unwrap()).unwrap();
        assert_eq!(array.shape(), [0u64; 0]);
        array.into_vec::<f64>().unwrap()[0]
    };
    assert_eq!(scalar("step"), 0.1);
    assert_eq!(scalar("lambda"), 0.1);
    assert_eq!(scalar("offset"), 0.0);
}

#[test]
fn newer_and_damaged_descriptions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.safetensors");
    networks()[0].export(Format::Safetensors, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let swapped = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        fs::write(&path, bytes).unwrap();
        import(&path).unwrap_err().to_string()
    };
    // The JSON is quoted inside the JSON of the header.
    assert!(swapped(r#"\"format\":1"#, r#"\"format\":9"#).contains("newer version"));
    let error = swapped(r#"\"atoms\":6"#, r#"\"atoms\":7"#);
    assert!(error.contains("asks for [7, 1, 5, 5]"), "{error}");
    assert!(swapped(r#"\"layers\""#, r#"\"leyers\""#).contains("leyers"));
}

#[test]
fn graphs_are_written_for_what_onnx_knows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.onnx");
    let export = |network: &Checkpoint, all_shifts| {
        network.export_with(Format::Onnx, &path, ExportOptions { all_shifts })
    };
    for (k, network) in networks().iter().enumerate() {
        let conv_without_step = k == 6;
        let result = export(network, false);
        assert_eq!(result.is_err(), conv_without_step, "{k}: {result:?}");
        let images = network.config.dictionary.kind() == "conv2d";
        assert_eq!(export(network, true).is_ok(), images, "{k}");
    }
    let text = export(&networks()[6], false).unwrap_err().to_string();
    assert!(text.contains("step size"), "{text}");
}

/// `max(Wᵀ(x − b) + c, 0)` and `D z + b`, in plain loops.
#[test]
fn a_relu_autoencoder_comes_and_goes() {
    let (m, p) = (3, 4);
    let number = |k: usize| ((k * k + 2) as f32).sin();
    let weights: [(&str, Vec<usize>, Vec<f32>); 4] = [
        ("W_dec", vec![p, m], (0..m * p).map(number).collect()),
        ("W_enc", vec![m, p], (0..m * p).map(|k| number(k + 20)).collect()),
        ("b_dec", vec![m], (0..m).map(|k| number(k + 40)).collect()),
        ("b_enc", vec![p], (0..p).map(|k| number(k + 50)).collect()),
    ];
    let bytes = weights.clone().map(|(_, _, values)| {
        values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()
    });
    let views = weights.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let dtype = safetensors::Dtype::F32;
        (*name, safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap())
    });
    let dir = tempfile::tempdir().unwrap();
    let file = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
    fs::write(dir.path().join("sae_weights.safetensors"), file).unwrap();
    let settings = |more: &str| {
        let text =
            format!("{{\"architecture\": \"standard\", \"d_in\": {m}, \"d_sae\": {p}{more}}}");
        fs::write(dir.path().join("cfg.json"), text).unwrap();
    };
    settings(", \"apply_b_dec_to_input\": true");
    let imported = import(dir.path()).unwrap();
    let written = dir.path().join("written");
    imported.export(Format::Sae, &written).unwrap();
    let again = import(&written).unwrap();

    let [d, w, b, c] = weights.map(|(_, _, values)| values);
    let x = [0.3, -0.7, 0.9];
    let code = |j: usize| {
        let v: f32 = (0..m).map(|i| w[i * p + j] * (x[i] - b[i])).sum();
        (v + c[j]).max(0.0)
    };
    let expected: Vec<f32> =
        (0..m).map(|i| b[i] + (0..p).map(|j| d[j * m + i] * code(j)).sum::<f32>()).collect();
    for checkpoint in [imported, again] {
        let AnyPudle::Dense(model) = checkpoint.model else { panic!("vectors") };
        let device = Backend::Flex.device().unwrap();
        let x = burn::tensor::Tensor::<2>::from_data([x], &device);
        let x_hat = model.reconstruct(x, &pudle_core::Noise::Unknown).into_data();
        let x_hat: Vec<f32> = x_hat.iter::<f32>().collect();
        let near = x_hat.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{x_hat:?}, not {expected:?}");
    }
    for more in [
        ", \"k\": 2",
        ", \"activation_fn_str\": \"topk\"",
        ", \"normalize_activations\": \"layer_norm\"",
    ] {
        settings(more);
        assert!(import(dir.path()).unwrap_err().to_string().contains("exactly"), "{more}");
    }
    let other = networks().remove(4).export(Format::Sae, &dir.path().join("other"));
    assert!(other.unwrap_err().to_string().contains("layers"));
}
