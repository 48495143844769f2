//! Codes of data in files, and data from codes.

use std::ops::ControlFlow;
use std::path::Path;

use pudle_core::{
    Algorithm, AnyPudle, Backend, ConvConfig, DenseConfig, Learned, Proximal, PudleConfig,
    ThresholdConfig,
};
use pudle_data::{Image, Matrix, Missing, Normalization, Normalize, Rows, scene};
use pudle_train::{
    Checkpoint, CodeStats, Coder, DataOptions, DictionaryLearning, TrainError, UpdateRule,
    decode_file, encode_file,
};

fn checkpoint(config: &PudleConfig, normalization: Normalization) -> Checkpoint {
    let model = AnyPudle::new(config, 1, &Backend::Flex.device().unwrap()).unwrap();
    Checkpoint { config: model.config().clone(), model, sigma: None, normalization }
}

fn coder(config: &PudleConfig) -> Coder {
    let device = Backend::Flex.device().unwrap();
    Coder::new(checkpoint(config, Normalization::none()), &device).unwrap()
}

fn vectors() -> PudleConfig {
    PudleConfig::dense(DenseConfig { dim: 6, atoms: 9 }).with_layers(20).with_lambda(0.2)
}

/// Rows that no short period repeats.
fn rows(count: usize, width: usize) -> Vec<f32> {
    (0..count * width).map(|k| ((k * 7919 % 1009) as f32 / 504.0 - 1.0) * 2.0).collect()
}

fn write_npy(path: &Path, shape: &[u64], values: &[f32]) {
    use npyz::WriterBuilder;
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn encode(coder: &Coder, data: &Path, output: &Path) -> pudle_train::Result<CodeStats> {
    let options = DataOptions::default();
    encode_file(coder, data, options, output, &mut |_, _| ControlFlow::Continue(()))
}

fn decode(coder: &Coder, codes: &Path, output: &Path) -> pudle_train::Result<()> {
    decode_file(coder, codes, None, output, &mut |_, _| ControlFlow::Continue(()))
}

fn read(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let matrix = Matrix::open(path, None, false).unwrap();
    let mut values = vec![0.0; matrix.len() * matrix.width()];
    matrix.read(0, &mut values).unwrap();
    ([&[matrix.len()], &matrix.datum_shape()[..]].concat(), values)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn dense_and_sparse_files_hold_the_same_codes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (coder, x) = (coder(&vectors()), rows(40, 6));
    write_npy(&path("x.npy"), &[40, 6], &x);
    let stats = encode(&coder, &path("x.npy"), &path("z.npy")).unwrap();
    assert_eq!(encode(&coder, &path("x.npy"), &path("z.npz")).unwrap(), stats);
    let ((shape, dense), (_, sparse)) = (read(&path("z.npy")), read(&path("z.npz")));
    assert_eq!((&shape[..], &dense), (&[40, 9][..], &sparse));
    let held: Vec<Vec<f32>> = x.chunks(6).map(<[f32]>::to_vec).collect();
    assert_eq!(coder.encode_rows(&held).unwrap().concat(), dense);
    let nonzeros = dense.iter().filter(|value| **value != 0.0).count();
    assert!(nonzeros > 40 && nonzeros < 360, "{nonzeros}");
    assert_eq!((stats.data, stats.nonzeros), (40, nonzeros as f64 / 40.0));
    assert_eq!((stats.atoms, stats.atoms_in_use), (9, 9));

    for codes in ["z.npy", "z.npz"] {
        decode(&coder, &path(codes), &path("y.npy")).unwrap();
        let (shape, decoded) = read(&path("y.npy"));
        assert_eq!(shape, [40, 6]);
        let squares = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let residual: Vec<f32> = x.iter().zip(&decoded).map(|(x, y)| x - y).collect();
        let error = (squares(&residual) / squares(&x)).sqrt();
        assert!((error - stats.relative_error).abs() < 1e-5 && error < 0.9, "{error} {stats:?}");
    }
}

#[test]
fn codes_of_enough_layers_solve_the_lasso() {
    let x = rows(30, 6);
    let layers =
        |algorithm| coder(&vectors()).with_layers(4000).unwrap().with_algorithm(algorithm).unwrap();
    let coders =
        [layers(Algorithm::Ista), layers(Algorithm::Fista), coder(&vectors()).exact().unwrap()];
    for (k, coder) in coders.into_iter().enumerate() {
        let coded = coder.encode(&x, &[30, 6]).unwrap();
        // D, a column for each code that is 1.
        let unit: Vec<f32> = (0..81).map(|k| if k % 10 == 0 { 1.0 } else { 0.0 }).collect();
        let atoms = coder.decode(&unit, &[9, 9], &[6]).unwrap();
        for datum in 0..30 {
            let residual: Vec<f32> =
                (0..6).map(|k| x[datum * 6 + k] - coded.reconstruction[datum * 6 + k]).collect();
            for atom in 0..9 {
                let z = coded.code[datum * 9 + atom];
                let gradient: f32 = (0..6).map(|k| atoms[atom * 6 + k] * residual[k]).sum();
                // The optimality of the lasso: Dᵀ(x − D z) is λ sign(z) where z is not 0, and at most λ elsewhere.
                let right = if z == 0.0 {
                    gradient.abs() < 0.2 + 1e-4
                } else {
                    (gradient - 0.2 * z.signum()).abs() < 1e-4
                };
                assert!(right, "coder {k}, datum {datum}, atom {atom}: {z} {gradient}");
            }
        }
    }
}

#[test]
fn missing_numbers_have_no_residual_and_are_filled_in() {
    let coder = coder(&vectors()).with_layers(4000).unwrap().with_missing(Missing::Nan).unwrap();
    let (mut x, whole) = (rows(30, 6), rows(30, 6));
    x.iter_mut().step_by(5).for_each(|value| *value = f32::NAN);
    let coded = coder.encode(&x, &[30, 6]).unwrap();
    let unit: Vec<f32> = (0..81).map(|k| if k % 10 == 0 { 1.0 } else { 0.0 }).collect();
    let atoms = coder.decode(&unit, &[9, 9], &[6]).unwrap();
    for datum in 0..30 {
        for atom in 0..9 {
            let z = coded.code[datum * 9 + atom];
            let known = (0..6).filter(|k| !x[datum * 6 + k].is_nan());
            let residual = |k: usize| x[datum * 6 + k] - coded.reconstruction[datum * 6 + k];
            let gradient: f32 = known.map(|k| atoms[atom * 6 + k] * residual(k)).sum();
            let right = match z == 0.0 {
                true => gradient.abs() < 0.2 + 1e-4,
                false => (gradient - 0.2 * z.signum()).abs() < 1e-4,
            };
            assert!(right, "datum {datum}, atom {atom}: {z} {gradient}");
        }
    }
    assert!(coded.reconstruction.iter().all(|value| value.is_finite()));
    // Whole data have the same codes whether numbers may be missing or not.
    let plain = coder.clone().with_missing(Missing::Error).unwrap();
    let encoded = |coder: &Coder| coder.encode(&whole, &[30, 6]).unwrap();
    assert_eq!(encoded(&coder), encoded(&plain));
    assert!(plain.encode(&x, &[30, 6]).is_err());

    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write_npy(&path("x.npy"), &[30, 6], &x);
    let stats = encode(&coder, &path("x.npy"), &path("z.npy")).unwrap();
    let known = || x.iter().zip(&coded.reconstruction).filter(|(x, _)| !x.is_nan());
    let square = |value: f32| f64::from(value).powi(2);
    let error: f64 = known().map(|(x, y)| square(x - y)).sum();
    let energy: f64 = known().map(|(x, _)| square(*x)).sum();
    assert!((stats.relative_error - (error / energy).sqrt()).abs() < 1e-6, "{stats:?}");
    assert_eq!(read(&path("z.npy")).1, coded.code);
    let error = encode(&plain, &path("x.npy"), &path("y.npy")).unwrap_err().to_string();
    assert!(error.contains("row 0, column 0") && !path("y.npy").exists(), "{error}");
    let exact = plain.exact().unwrap().with_missing(Missing::Nan).unwrap_err().to_string();
    assert!(exact.contains("whole data only"), "{exact}");
}

#[test]
fn the_exact_solution_is_the_limit_of_the_layers() {
    let config = PudleConfig::dense(DenseConfig { dim: 20, atoms: 50 }).with_lambda(0.3);
    let x = rows(100, 20);
    for prox in [Proximal::Soft, Proximal::Relu] {
        let coder = coder(&config.clone().with_prox(prox).with_algorithm(Algorithm::Fista));
        let layers = coder.clone().with_layers(6000).unwrap().encode(&x, &[100, 20]).unwrap();
        let exact = coder.exact().unwrap().encode(&x, &[100, 20]).unwrap();
        let difference = largest_difference(&layers.code, &exact.code);
        // So many layers still leave some distance, in 32 bits.
        assert!(difference < 1e-3, "{prox}: {difference}");
        assert!(largest_difference(&layers.reconstruction, &exact.reconstruction) < 1e-3);
        let used = exact.code.iter().filter(|value| **value != 0.0).count();
        assert!(used > 300 && used < 2100, "{prox}: {used}");
    }
}

#[test]
fn normalisation_is_applied_and_undone() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let x: Vec<f32> =
        rows(40, 6).iter().enumerate().map(|(k, v)| 3.0 + v * (1 + k % 6) as f32).collect();
    write_npy(&path("x.npy"), &[40, 6], &x);
    let matrix = Matrix::open(&path("x.npy"), None, false).unwrap();
    let device = Backend::Flex.device().unwrap();
    // With λ = 0 the data come back.
    let config = vectors().with_lambda(0.0).with_layers(3000);
    for kind in [Normalize::Center, Normalize::CenterScale, Normalize::Unit] {
        let normalization =
            pudle_data::MatrixBatches::measure(&matrix, kind, Default::default(), 0).unwrap();
        let plain = coder(&config).encode(&x, &[40, 6]).unwrap();
        let coder = Coder::new(checkpoint(&config, normalization), &device).unwrap();
        let stats = encode(&coder, &path("x.npy"), &path("z.npz")).unwrap();
        assert!(stats.relative_error < 1e-3, "{kind}: {stats:?}");
        decode(&coder, &path("z.npz"), &path("y.npy")).unwrap();
        assert!(largest_difference(&read(&path("y.npy")).1, &x) < 2e-2, "{kind}");
        let same = largest_difference(&read(&path("z.npz")).1, &plain.code) < 1e-2;
        assert_eq!(same, kind == Normalize::Unit, "{kind}");
    }
}

#[test]
fn signals_keep_their_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let shape = ConvConfig { atoms: 5, channels: 2, size: 6, stride: 4 };
    let coder = coder(&PudleConfig::conv1d(shape).with_step(0.1).with_lambda(0.1));
    write_npy(&path("many.npy"), &[3, 2, 31], &rows(3, 62));
    write_npy(&path("one.npy"), &[2, 31], &rows(1, 62));
    for (name, lead) in [("many", &[3][..]), ("one", &[])] {
        let data = path(&format!("{name}.npy"));
        encode(&coder, &data, &path("z.npy")).unwrap();
        encode(&coder, &data, &path("z.npz")).unwrap();
        let ((shape, dense), (_, sparse)) = (read(&path("z.npy")), read(&path("z.npz")));
        // ⌈(31 − 6)/4⌉ + 1 positions cover the signal.
        assert_eq!(shape, [lead, &[5, 8]].concat(), "{name}");
        assert_eq!(dense, sparse, "{name}");
        decode(&coder, &path("z.npz"), &path("y.npy")).unwrap();
        let (shape, exact) = read(&path("y.npy"));
        assert_eq!(shape, [lead, &[2, 31]].concat(), "{name}");
        // An array does not say how long the signal was.
        decode(&coder, &path("z.npy"), &path("y.npy")).unwrap();
        assert_eq!(read(&path("y.npy")).0, [lead, &[2, 34]].concat(), "{name}");
        let go_on = &mut |_, _| ControlFlow::Continue(());
        decode_file(&coder, &path("z.npy"), Some(&[31]), &path("y.npy"), go_on).unwrap();
        assert_eq!(read(&path("y.npy")).1, exact, "{name}");
    }
}

#[test]
fn pictures_come_back_from_their_codes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let shape = ConvConfig { atoms: 60, channels: 1, size: 7, stride: 3 };
    let coder = coder(&PudleConfig::conv2d(shape).with_step(0.1).with_lambda(0.0).with_layers(300));
    std::fs::create_dir_all(path("in/deep")).unwrap();
    let pictures = [("in/a.png", scene(40, 33, 1)), ("in/deep/b.png", scene(5, 4, 2))];
    for (name, picture) in &pictures {
        picture.to_gray().write(&path(name)).unwrap();
    }
    let gray = |name: &str| Image::read(&path(name), pudle_data::ColorMode::Gray).unwrap();
    encode(&coder, &path("in/a.png"), &path("a.npy")).unwrap();
    assert_eq!(read(&path("a.npy")).0, [60, 10, 12]);
    encode(&coder, &path("in/a.png"), &path("a.npz")).unwrap();
    assert_eq!(read(&path("a.npz")).0, [60, 120]);
    decode(&coder, &path("a.npz"), &path("a.png")).unwrap();
    assert!(gray("a.png").psnr(&gray("in/a.png"), 1.0) > 35.0);

    encode(&coder, &path("in"), &path("all.npz")).unwrap();
    decode(&coder, &path("all.npz"), &path("out")).unwrap();
    for (name, source) in [("out/a.png", "in/a.png"), ("out/deep/b.png", "in/deep/b.png")] {
        assert_eq!(gray(name).shape(), gray(source).shape());
        let psnr = gray(name).psnr(&gray(source), 1.0);
        assert!(psnr > 35.0, "{name}: {psnr}");
    }
    let error = encode(&coder, &path("in"), &path("all.npy")).unwrap_err().to_string();
    assert!(error.contains(".npz"), "{error}");
}

#[test]
fn names_in_an_archive_stay_below_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let shape = ConvConfig { atoms: 4, channels: 1, size: 5, stride: 2 };
    let coder = coder(&PudleConfig::conv2d(shape).with_step(0.1).with_lambda(0.1));
    std::fs::create_dir(path("in")).unwrap();
    scene(20, 20, 1).write(&path("in/ab.png")).unwrap();
    encode(&coder, &path("in"), &path("z.npz")).unwrap();
    // The names have the same length, so nothing else in the archive changes but its checksums, which are not looked at here.
    let mut bytes = std::fs::read(path("z.npz")).unwrap();
    let (from, to) = (b"\"ab.png\"", b"\"../x.g\"");
    let place = bytes.windows(from.len()).position(|part| part == from).unwrap();
    bytes[place..place + to.len()].copy_from_slice(to);
    std::fs::write(path("z.npz"), bytes).unwrap();
    assert!(decode(&coder, &path("z.npz"), &path("out")).is_err());
    assert!(!path("out").exists() && !path("x.png").exists());
}

#[test]
fn an_interruption_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let coder = coder(&vectors());
    write_npy(&path("x.npy"), &[20_000, 6], &rows(20_000, 6));
    for output in ["z.npy", "z.npz"] {
        let mut calls = 0;
        let stop = &mut |done, all| {
            calls += 1;
            assert!(done < all);
            ControlFlow::Break(())
        };
        let options = DataOptions::default();
        let error = encode_file(&coder, &path("x.npy"), options, &path(output), stop).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted) && calls == 1, "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_a_model_does_not_allow_is_refused() {
    let learned = |per_layer, sigma| {
        let lambda = 0.1;
        ThresholdConfig::Learned(Learned { lambda, per_layer, sigma, signed: false })
    };
    let per_layer = coder(&vectors().with_threshold(learned(true, None)));
    assert!(per_layer.clone().with_layers(20).is_ok());
    let error = per_layer.with_layers(21).unwrap_err().to_string();
    assert!(error.contains("21") && error.contains("20"), "{error}");
    assert!(coder(&vectors()).with_sigma(25.0).is_err());
    let shape = ConvConfig { atoms: 4, channels: 1, size: 5, stride: 2 };
    let filters = PudleConfig::conv2d(shape).with_step(0.1);
    let blind = coder(&filters.clone().with_threshold(learned(true, Some(25.0))));
    let x = rows(1, 81);
    let nonzeros = |coder: Coder| {
        let code = coder.encode(&x, &[1, 1, 9, 9]).unwrap().code;
        code.iter().filter(|value| **value != 0.0).count()
    };
    let loud = nonzeros(blind.clone().with_sigma(50.0).unwrap());
    assert!(loud < nonzeros(blind.with_sigma(5.0).unwrap()));
    assert!(coder(&filters).exact().is_err());
    assert!(coder(&vectors().with_threshold(ThresholdConfig::decaying(0.3, 0.9))).exact().is_err());
    let vectors = coder(&vectors());
    assert!(vectors.encode(&rows(2, 5), &[2, 5]).is_err());
    assert!(vectors.encode(&[f32::MAX; 6], &[1, 6]).is_err());
}

#[test]
fn rows_in_memory_are_learned() {
    // Two atoms a datum, of six that are orthogonal.
    let row = |k: usize| {
        let mut row = vec![0.0f32; 6];
        row[k % 6] = 1.0 + (k % 5) as f32 / 4.0;
        row[(k * k + 1 + k / 6) % 6] -= 1.5;
        row
    };
    let rows: Vec<Vec<f32>> = (0..600).map(row).collect();
    let learning = DictionaryLearning { steps: 400, ..DictionaryLearning::new(6, 0.05) };
    let adam =
        DictionaryLearning { update: UpdateRule::Adam, learning_rate: 0.01, ..learning.clone() };
    for learning in [&learning, &adam] {
        let checkpoint = learning.fit(&rows).unwrap();
        assert_eq!(checkpoint.model.atoms(), learning.fit(&rows).unwrap().model.atoms());
        let coder = Coder::new(checkpoint, &Backend::Flex.device().unwrap()).unwrap();
        let codes = coder.encode_rows(&rows).unwrap();
        let decoded = coder.decode_rows(&codes).unwrap();
        assert!(largest_difference(&rows.concat(), &decoded.concat()) < 0.3);
        let used = codes.concat().iter().filter(|value| value.abs() > 0.1).count();
        assert!(used < 600 * 3, "{used}");
    }
    let error = learning.fit(&[vec![1.0, 2.0], vec![1.0]]).unwrap_err().to_string();
    assert!(error.contains("row 1"), "{error}");
    assert!(learning.fit(&[vec![f32::NAN]]).is_err());
}
