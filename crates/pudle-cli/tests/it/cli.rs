//! The command as a user types it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use tempfile::TempDir;

fn pudle(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command.current_dir(dir).env_remove("RUST_LOG");
    command
}

/// Runs the words of a line.
pub(crate) fn words(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    pudle(dir).args(line.split_whitespace()).assert()
}

fn json(dir: &Path, line: &str) -> Value {
    let output = words(dir, line).success().get_output().stdout.clone();
    serde_json::from_slice(&output).expect("stdout is one JSON object and nothing else")
}

/// A picture with edges and shading.
fn write_picture(path: &Path, width: u32, height: u32, colour: bool) {
    let value = |x: u32, y: u32| ((x / 9 + y / 7) % 2 * 120 + x * 90 / width) as u8;
    if colour {
        let pixel = |x, y| image::Rgb([value(x, y), value(y, x), 90]);
        image::RgbImage::from_fn(width, height, pixel).save(path).unwrap();
    } else {
        image::GrayImage::from_fn(width, height, |x, y| image::Luma([value(x, y)]))
            .save(path)
            .unwrap();
    }
}

fn write_bank(path: &Path, shape: [usize; 4]) {
    let values: Vec<u8> = (0..shape.iter().product())
        .flat_map(|i: usize| (((i * 37 % 101) as f32 - 50.0) / 400.0).to_le_bytes())
        .collect();
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &values).unwrap();
    fs::write(path, safetensors::serialize([("w", view)], None).unwrap()).unwrap();
}

pub(crate) const IMPORT: &str = "import --dictionary bank.safetensors --prox soft --lambda 0.1 --step 0.1 \
                      --layers 3 --stride 2 -o model";

/// A folder with a filter bank, its checkpoint `model`, a picture and a folder of pictures.
pub(crate) fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_bank(&dir.path().join("bank.safetensors"), [4, 1, 5, 5]);
    words(dir.path(), IMPORT).success();
    write_picture(&dir.path().join("picture.png"), 40, 31, false);
    fs::create_dir_all(dir.path().join("pictures/more")).unwrap();
    write_picture(&dir.path().join("pictures/a.png"), 50, 40, false);
    write_picture(&dir.path().join("pictures/more/b.jpg"), 40, 50, true);
    dir
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn denoise_gains_four_decibels_on_its_own_scene() {
    let dir = tempfile::tempdir().unwrap();
    let report = json(dir.path(), "denoise --json");
    assert_eq!(report["input"], Value::Null);
    assert_eq!(report["output"], Value::Null);
    assert_eq!(report["sigma"], 25.0);
    let (before, after) =
        (report["noisy_psnr"].as_f64().unwrap(), report["psnr"].as_f64().unwrap());
    assert!(after - before >= 4.0, "{before} dB to {after} dB");
    assert_eq!(names(dir.path()), ["pudle-denoise.png"]);
    let panel = image::open(dir.path().join("pudle-denoise.png")).unwrap();
    assert!(panel.width() > 3 * 480 && panel.height() == 320);
}

#[test]
fn denoise_writes_what_it_is_asked_for() {
    let dir = folder();
    let dir = dir.path();
    words(dir, "denoise picture.png --sigma 20").success().stdout(contains("PSNR").not());
    assert!(dir.join("picture-denoised.png").is_file());
    words(
        dir,
        "denoise picture.png --checkpoint model --add-noise --seed 5 -o out.jpg --panel p.png",
    )
    .success()
    .stdout(contains("seed 5"));
    let out = image::open(dir.join("out.jpg")).unwrap();
    assert_eq!((out.width(), out.height()), (40, 31));
    assert!(image::open(dir.join("p.png")).unwrap().width() > 3 * 40);
    let known = json(dir, "denoise picture.png --add-noise --json -o x.png");
    assert_eq!((&known["input"], &known["output"]), (&"picture.png".into(), &"x.png".into()));
    assert!(known["psnr"].is_f64() && known["seconds"].is_f64());
    let again = json(dir, "denoise picture.png --add-noise --json -o x.png --force");
    assert_eq!(known["psnr"], again["psnr"]);
    let other = json(dir, "denoise picture.png --add-noise --json -o x.png --seed 1 --force");
    assert_ne!(known["psnr"], other["psnr"]);
    let unknown = json(dir, "denoise pictures/more/b.jpg --json -o y.png");
    assert_eq!((&unknown["psnr"], &unknown["noisy_psnr"]), (&Value::Null, &Value::Null));
    assert_eq!(image::open(dir.join("y.png")).unwrap().color(), image::ColorType::Rgb8);
}

#[test]
fn shifts_and_kernels_do_what_they_say() {
    let dir = folder();
    let psnr = |flags: &str| {
        json(dir.path(), &format!("denoise --checkpoint denoise-gray-sigma25 --json {flags}"))["psnr"].as_f64()
    };
    let one = |kernels: &str| psnr(&format!("--shifts 1 --kernels {kernels}")).unwrap();
    let (fused, composed) = (one("fused"), one("composed"));
    assert!((fused - composed).abs() < 1e-4, "{fused} and {composed} dB");
    // Each further shift is worth something, and the first ones the most.
    let all = psnr("--shifts all").unwrap();
    let four = psnr("--shifts 4").unwrap();
    assert!(four > fused + 0.2 && all > four, "{fused}, {four}, {all} dB");
    let same = psnr("--shifts 16 --kernels composed").unwrap();
    assert!((all - same).abs() < 1e-4, "{all} and {same} dB");
    let scores = |flags: &str| {
        let line = "evaluate --checkpoint model --images pictures --sigma 25 --json";
        json(dir.path(), &format!("{line} {flags}"))["mean_psnr"].as_f64().unwrap()
    };
    assert_ne!(scores(""), scores("--shifts 2"));
}

#[test]
fn colour_pictures_take_the_colour_model() {
    let dir = folder();
    let dir = dir.path();
    write_picture(&dir.join("colour.png"), 40, 31, true);
    let chosen = |line: &str| json(dir, line)["checkpoint"].as_str().unwrap().to_owned();
    let noise = "--add-noise --shifts 1 --json --force -o x.png";
    assert_eq!(chosen(&format!("denoise colour.png {noise}")), "denoise-color");
    assert_eq!(chosen(&format!("denoise picture.png {noise}")), "denoise-gray");
    let all = noise.replace("--shifts 1", "--shifts all");
    assert_eq!(chosen(&format!("denoise picture.png {all}")), "denoise-gray-shifts");
    assert_eq!(chosen(&format!("denoise colour.png {all}")), "denoise-color-shifts");
    let asked = format!("denoise colour.png --checkpoint denoise-gray {noise}");
    assert_eq!(chosen(&asked), "denoise-gray");
    // A grey model's score over colour is that of grey pictures unless it is asked for.
    let line = "evaluate --checkpoint model --images pictures --sigma 25 --json";
    let psnr = |line: &str| json(dir, line)["mean_noisy_psnr"].as_f64().unwrap();
    assert_ne!(psnr(line), psnr(&format!("{line} --color")));
}

#[test]
fn bench_times_every_case() {
    let dir = tempfile::tempdir().unwrap();
    for (flags, step) in [
        ("--side 33 --batch 2 --layers 3 --gradient dec", true),
        ("--side 33 --atoms 20 --recompute --kernels fused --seed 3", true),
        ("--side 30 --kernels composed --gradient ae-lasso", true),
        ("--case dense --side 30 --atoms 50 --batch 3 --layers 5", true),
        ("--case image --side 40 --shifts 4", false),
    ] {
        let report = json(dir.path(), &format!("bench --json --repetitions 2 {flags}"));
        assert!(report["forward_ms"].as_f64().unwrap() > 0.0, "{flags}");
        assert_eq!(report["step_ms"].as_f64().is_some(), step, "{flags}");
        assert_eq!(report["gradient"].is_string(), step, "{flags}");
        for key in ["case", "batch", "layers", "backend", "threads", "peak_mib"] {
            assert!(report.get(key).is_some(), "{flags}: {key}");
        }
    }
    assert!(names(dir.path()).is_empty());
    // The same inputs, and the same results, whichever implementation runs them.
    let saved = |name: &str, kernels: &str| {
        let line = format!("bench --side 33 --repetitions 1 --save {name} --kernels {kernels}");
        words(dir.path(), &line).success().stdout(contains("wrote"));
        std::fs::read(dir.path().join(name)).unwrap()
    };
    let files = [saved("a.safetensors", "fused"), saved("b.safetensors", "composed")];
    let [a, b] = files.each_ref().map(|file| SafeTensors::deserialize(file).unwrap());
    for name in ["x", "atoms", "code", "reconstruction", "gradient"] {
        let numbers = |file: &SafeTensors| -> Vec<f32> {
            let bytes = file.tensor(name).unwrap().data().to_vec();
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let (a, b) = (numbers(&a), numbers(&b));
        let largest = b.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-5 * largest), "{name}");
    }
}

#[test]
fn evaluate_scores_every_picture() {
    let dir = folder();
    let dir = dir.path();
    let line = "evaluate --checkpoint model --images pictures --sigma 25";
    words(dir, line).success().stdout(contains("b.jpg").and(contains("mean of 2")));
    let full = json(dir, &format!("{line} --json"));
    assert_eq!((&full["protocol"], &full["sigma"]), (&"full".into(), &25.0.into()));
    assert_eq!(full["images"][0]["file"], "a.png");
    assert_eq!(full["images"][1]["file"], "more/b.jpg");
    for name in ["mean_psnr", "mean_ssim"] {
        assert!(full[name].is_f64(), "{name}");
    }
    for name in ["noisy_psnr", "psnr", "ssim"] {
        assert!(full["images"][0][name].is_f64(), "{name}");
    }
    let paper = json(dir, &format!("{line} --json --protocol paper"));
    assert!(paper["mean_psnr"].as_f64() < full["mean_psnr"].as_f64());
    let seeded = json(dir, &format!("{line} --json --seed 9"));
    assert_ne!(seeded["mean_psnr"], full["mean_psnr"]);

    let several = json(dir, &format!("{line},10 --json --save out"));
    assert_eq!(several[0]["mean_psnr"], full["mean_psnr"]);
    assert_eq!(several[1]["sigma"], 10.0);
    let bytes = fs::read(dir.join("out/sigma-10/more/b.jpg.safetensors")).unwrap();
    let saved = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| {
        let tensor = saved.tensor(name).unwrap();
        let floats =
            tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        (tensor.shape().to_vec(), floats.collect::<Vec<f32>>())
    };
    let (clean, noisy) = (numbers("clean"), numbers("noisy"));
    assert_eq!((clean.0.as_slice(), &clean.0), (&[1, 50, 40][..], &noisy.0));
    let squares = clean.1.iter().zip(&noisy.1).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    let psnr = -10.0 * (squares / clean.1.len() as f64).log10();
    assert!((psnr - several[1]["images"][1]["noisy_psnr"].as_f64().unwrap()).abs() < 1e-6);
    words(dir, &format!("{line},10")).success().stdout(contains("\n     10 "));
    let shipped = line.replace("--checkpoint model", "--checkpoint denoise-gray-sigma25");
    let told = json(dir, &format!("{shipped} --json --blind"));
    assert!(told["images"][0]["estimated_sigma"].is_f64());
}

#[test]
fn checkpoints_are_described_and_exchanged() {
    let dir = folder();
    let dir = dir.path();
    words(dir, "info model").success().stdout(contains("[4, 1, 5, 5]").and(contains("layers")));
    for format in ["safetensors", "npz", "png"] {
        words(dir, &format!("export model --format {format} -o out.{format}")).success();
        assert!(fs::metadata(dir.join(format!("out.{format}"))).unwrap().len() > 100);
    }
    words(dir, IMPORT).failure().stderr(contains("--force"));
    words(dir, &format!("{IMPORT} --force")).success();
    let back = "import --dictionary out.safetensors --tensor dictionary.atoms --prox hard \
                --lambda 0.1 --step auto --layers 3 --stride 2 -o back";
    words(dir, back).success();
    words(dir, "info back").success().stdout(contains("hard").and(contains("1/‖D‖²")));
}

#[test]
fn every_command_and_flag_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["train", "denoise", "evaluate", "info", "export", "import"] {
        let help = words(dir.path(), &format!("{command} --help")).success();
        let text = String::from_utf8(help.get_output().stdout.clone()).unwrap();
        // A flag's help stands behind it or below it.
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let flag = line.trim_start();
            if flag.starts_with('-') {
                let below = lines.get(i + 1).is_some_and(|next| !next.trim().is_empty());
                assert!(flag.contains("  ") || below, "{command}: {flag} is not explained");
            }
        }
    }
}

/// Each ends with one line on stderr, a non-zero exit code and no panic.
#[test]
fn wrong_inputs_end_with_one_clear_line() {
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("text.png"), "no picture at all").unwrap();
    write_picture(&dir.join("dot.png"), 1, 1, false);
    fs::create_dir_all(dir.join("empty")).unwrap();
    fs::create_dir_all(dir.join("texts")).unwrap();
    fs::write(dir.join("texts/a.png"), "no picture").unwrap();
    fs::write(dir.join("file"), "").unwrap();
    let copy = |name: &str| {
        fs::create_dir_all(dir.join(name)).unwrap();
        for file in ["config.toml", "model.safetensors"] {
            fs::copy(dir.join("model").join(file), dir.join(name).join(file)).unwrap();
        }
        dir.join(name)
    };
    let weights = copy("half").join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let config = copy("nan").join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("lambda = 0.1", "lambda = nan")).unwrap();
    fs::remove_file(copy("bare").join("model.safetensors")).unwrap();
    fs::write(dir.join("broken.toml"), "[model").unwrap();
    fs::write(dir.join("unknown.toml"), "colour = 3").unwrap();
    let preset = |dictionary: &str, data: &str| {
        format!("[model]\ndictionary = {{ {dictionary} }}\n[data]\n{data}\n")
    };
    let strokes = "kind = \"strokes\"\ncount = 9000000000000\nclasses = [1]";
    let dense = "kind = \"dense\", dim = 784, atoms = 5";
    fs::write(dir.join("huge.toml"), preset(dense, strokes)).unwrap();
    let leaves =
        "kind = \"dead-leaves\"\nside = 40\ncount = 3\ncrop = 20\nsigma = 25\nflips = true";
    let filters = "kind = \"conv2d\", atoms = 4, channels = 1, size = 5, stride = 2";
    fs::write(dir.join("crop.toml"), preset(filters, leaves)).unwrap();
    let before = names(dir);

    let import = |rest: &str| {
        format!("import --dictionary bank.safetensors --prox soft --stride 2 {rest} -o new")
    };
    let cases: Vec<(String, &[&str])> = vec![
        ("denoise missing.png".into(), &["missing.png"]),
        ("denoise text.png".into(), &["text.png"]),
        ("denoise dot.png".into(), &["dot.png", "1×1", "--sigma"]),
        ("denoise empty".into(), &["empty"]),
        ("denoise picture.png pictures -o dot.png".into(), &["dot.png"]),
        ("denoise picture.png --panel text.png".into(), &["text.png", "--force"]),
        ("denoise picture.png dot.png --panel p.png".into(), &["p.png", "2"]),
        ("denoise picture.png -o model/config.toml".into(), &["config.toml", ".tif"]),
        ("denoise picture.png -o picture.png".into(), &["picture.png", "--force"]),
        ("denoise dot.png --sigma auto".into(), &["dot.png", "1×1"]),
        ("denoise picture.png --sigma 0".into(), &["sigma", "0"]),
        ("denoise picture.png --sigma 1e-37".into(), &["sigma", "0.01"]),
        ("denoise picture.png --sigma nan".into(), &["sigma", "NaN"]),
        ("denoise picture.png --sigma -3".into(), &["sigma", "-3"]),
        ("denoise picture.png -o out.gif".into(), &["out.gif"]),
        ("denoise picture.png -o file/out.png".into(), &["file"]),
        ("denoise picture.png --checkpoint missing".into(), &["missing", "config.toml"]),
        ("denoise picture.png --checkpoint half".into(), &["half", "model.safetensors"]),
        ("denoise picture.png --checkpoint bare".into(), &["bare", "model.safetensors"]),
        ("info nan".into(), &["nan", "config.toml", "model.threshold.lambda", "NaN"]),
        ("evaluate --checkpoint model --images empty --sigma 25".into(), &["empty"]),
        ("evaluate --checkpoint model --images texts --sigma 25".into(), &["texts", "1"]),
        ("evaluate --checkpoint model --images missing --sigma 25".into(), &["missing"]),
        ("evaluate --checkpoint model --images pictures --sigma -1".into(), &["sigma", "-1"]),
        ("export model --format npz -o nowhere/out.npz".into(), &["nowhere/out.npz"]),
        (import("--lambda -1 --step 0.1 --layers 3"), &["model.threshold.lambda", "-1"]),
        (import("--lambda 0.1 --step 0 --layers 3"), &["model.step", "0"]),
        (import("--lambda 0.1 --step 0.1 --layers 0"), &["model.layers", "0"]),
        (import("--lambda 0.1 --step 0.1 --layers 3 --tensor v"), &["bank.safetensors", "\"v\""]),
        ("train --preset denoise --steps 1 --lambda -1".into(), &["model.threshold.lambda", "-1"]),
        ("train --preset denoise --steps 0".into(), &["training.steps", "0"]),
        ("train --preset denoise --steps 1 --data empty".into(), &["empty"]),
        ("train --preset denoise --steps 1 --data missing".into(), &["missing"]),
        ("train --preset denoise --steps 1 --valid pictures".into(), &["--data"]),
        ("train --preset dense --steps 1 --data pictures".into(), &["sparse-coding"]),
        ("train --preset digits --steps 1 --data empty".into(), &["empty"]),
        ("train --preset denoise --steps 1 --out file/run".into(), &["file"]),
        ("train --preset denoise --steps 1 --out model".into(), &["model", "--resume"]),
        ("train --preset denoise --steps 1 --gradient truncated:99".into(), &["truncated:99"]),
        ("train --config broken.toml".into(), &["broken.toml"]),
        ("train --config unknown.toml".into(), &["unknown.toml", "colour"]),
        ("train --config missing.toml".into(), &["missing.toml"]),
        ("train --resume empty".into(), &["empty", "config.toml"]),
        (import("--lambda 0.1 --step 0.1 --layers 3 --sigma 0"), &["sigma", "0"]),
        ("denoise --shifts 65".into(), &["shifts", "65", "64"]),
        ("bench --batch 0".into(), &["batch", "0", "4096"]),
        ("bench --side 8".into(), &["side", "8", "9"]),
        ("bench --atoms 0".into(), &["atoms", "0", "4096"]),
        ("bench --layers 0".into(), &["layers", "0"]),
        ("bench --shifts 17".into(), &["shifts", "17", "16"]),
        ("bench --case dense --shifts 2".into(), &["shifts", "2"]),
        ("bench --case dense --checkpoint model".into(), &["--checkpoint"]),
        ("bench --side 33 --repetitions 1 --save file/x".into(), &["file/x"]),
        ("bench --recompute --kernels composed".into(), &["model.recompute"]),
        ("bench --layers 3 --gradient truncated:4".into(), &["truncated:4"]),
        ("train --config huge.toml".into(), &["huge.toml", "data.count"]),
        ("train --config crop.toml".into(), &["crop.toml", "data.crop", "20", "19", "21"]),
    ];
    for (line, expected) in cases {
        let failure = words(dir, &line).failure().code(1);
        let stderr = String::from_utf8(failure.get_output().stderr.clone()).unwrap();
        let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("warn")).collect();
        assert_eq!(errors.len(), 1, "{line}: {stderr}");
        assert!(errors[0].starts_with("error: ") && !stderr.contains("panicked"), "{stderr}");
        for word in expected {
            assert!(errors[0].contains(word), "{line}: {word:?} is not in {stderr}");
        }
        assert!(failure.get_output().stdout.is_empty() || line.starts_with("train"), "{line}");
    }
    assert_eq!(names(dir), before, "nothing is left behind");

    // What the parser refuses has the parser's usage text and exit code.
    for (line, word) in [
        ("train --preset denoise --gradient backprop", "backprop"),
        ("train --preset denoise --backend tpu", "tpu"),
        ("train", "--preset"),
        ("evaluate --checkpoint model", "--images"),
        ("export model --format mat -o x", "onnx"),
        ("denoise --add-noise", "PATH"),
        ("denoise --strength 9", "from 0 to 4"),
        ("denoise --sigma much", "auto"),
        ("denoise --shifts none", "none"),
        ("denoise --kernels fast", "composed"),
        ("bench --case audio", "dense"),
        ("bench --repetitions 0", "repetitions"),
        ("bench --atoms 3 --checkpoint model", "--checkpoint"),
    ] {
        words(dir, line).failure().code(2).stderr(contains(word).and(contains("panicked").not()));
    }
}

#[test]
fn a_backend_that_is_not_compiled_in_names_its_feature() {
    let dir = tempfile::tempdir().unwrap();
    let compiled: &[&str] = &[
        #[cfg(feature = "ndarray")]
        "ndarray",
        #[cfg(feature = "wgpu")]
        "wgpu",
        #[cfg(feature = "cuda")]
        "cuda",
    ];
    for backend in ["ndarray", "wgpu", "cuda"] {
        if !compiled.contains(&backend) {
            words(dir.path(), &format!("denoise --backend {backend}"))
                .failure()
                .code(1)
                .stderr(contains(format!("--features {backend}")));
        }
    }
    assert!(names(dir.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn closed_and_full_outputs_are_told_apart() {
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let pudle = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
        command.current_dir(dir.path()).stderr(Stdio::piped());
        command
    };
    // A training goes on when nobody reads its lines any more.
    let mut child = pudle()
        .args(["train", "--preset", "dense", "--steps", "3", "--out", "run"])
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert!(dir.path().join("run/model.safetensors").is_file());
    // A result that is lost is an error.
    if let Ok(full) = fs::File::options().write(true).open("/dev/full") {
        let output = pudle().args(["info", "run"]).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("stdout"), "{output:?}");
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut train = pudle();
        train.args(["train", "--preset", "dense", "--steps", "3", "--out", "full"]).stderr(full);
        assert!(train.stdout(Stdio::null()).status().unwrap().success());
    }
}

#[test]
fn missing_folders_are_created() {
    let dir = folder();
    let dir = dir.path();
    words(dir, "denoise picture.png -o a/b/out.png --panel c/panel.png").success();
    assert!(dir.join("a/b/out.png").is_file() && dir.join("c/panel.png").is_file());
    // Nothing is created for a picture that fails.
    words(dir, "denoise missing.png -o d/out.png").failure();
    words(dir, "denoise picture.png -o d/out.gif").failure();
    assert!(!dir.join("d").exists());
}

#[test]
fn a_shipped_name_means_the_shipped_checkpoint() {
    let dir = folder();
    let dir = dir.path();
    fs::create_dir(dir.join("denoise-gray")).unwrap();
    words(dir, "info denoise-gray").success().stderr(contains("./denoise-gray"));
    words(dir, "info ./denoise-gray").failure().stderr(contains("config.toml"));
    let text = "[training.initialization]\nkind = \"checkpoint\"\ndir = \"denoise-published\"\n";
    fs::write(dir.join("start.toml"), text).unwrap();
    words(dir, "train --preset denoise --config start.toml --steps 1 --out run").success();
}

#[test]
fn layers_that_diverge_give_no_picture() {
    let dir = folder();
    let dir = dir.path();
    let import = IMPORT.replace("--step 0.1", "--step 10").replace("--layers 3", "--layers 9");
    words(dir, &import.replace("-o model", "-o hot")).success().stdout(contains("2/‖D‖²"));
    words(dir, "denoise picture.png --checkpoint hot -o out.png")
        .failure()
        .stderr(contains("2/‖D‖²").and(contains("not finite").or(contains("reaches"))))
        .stderr(contains("reaches 0.0").not());
    assert!(!dir.join("out.png").exists());
    words(dir, "evaluate --checkpoint hot --images pictures --sigma 25").failure();
}
