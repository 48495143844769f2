//! Inputs that cannot work. Each ends with one line and an exit status, and leaves nothing behind.
//!
//! The table in `docs/bad-inputs.md` is what this test sees. `PUDLE_BLESS=1 cargo test …` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pudle_data::scene;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

const IMPORT: &str = "--prox soft --lambda 0.1 --step 0.1 --layers 3 -o new";

/// The commands, by subject.
const COMMANDS: &[(&str, &[&str])] = &[
    (
        "Matrices",
        &[
            "train --preset vectors",
            "train --data missing.npy",
            "train --data empty.safetensors",
            "train --data pointer.safetensors",
            "train --data pickle.pt",
            "train --data two.safetensors",
            "train --data two.safetensors --tensor c",
            "train --data nan.safetensors",
            "train --data words.csv",
            "train --data ragged.csv",
            "train --data gaps.csv",
            "train --data zeros.csv",
            "train --data matrix.safetensors --validation 95%",
            "train --data matrix.safetensors --validation 5",
            "train --data matrix.safetensors --target-active 0%",
            "train --data matrix.safetensors --target-nonzeros 99",
            "train --data matrix.safetensors --target-nonzeros 2 --lambda 1",
            "train --data matrix.safetensors --lambda -1",
            "train --data matrix.safetensors --normalize much",
            "train --data matrix.safetensors --layers 0",
            "train --data matrix.safetensors --atoms 0",
            "train --data matrix.safetensors --patience 0",
            "train --data matrix.safetensors --patches 8x8",
            "train --data pictures --patches 8",
            "train --data pictures --patches 900x900",
            "train --data pictures --normalize unit",
            "train --preset dense --target-active 5%",
        ],
    ),
    (
        "Recordings",
        &[
            "train --preset signals",
            "train --preset signals --data missing.wav --length 2ms",
            "train --preset signals --data pictures --length 20",
            "train --preset signals --data picture.png --length 20",
            "train --preset signals --data text.safetensors --length 20",
            "train --data cut.wav --length 20",
            "train --data double.wav --length 20",
            "train --data sound.wav",
            "train --data sound.wav --length 0ms",
            "train --data sound.wav --length long",
            "train --data sound.wav --length 2",
            "train --data sound.wav --length 10s",
            "train --data sound.wav --length 20 --atoms 0",
            "train --data sound.wav --length 20 --rate -1",
            "train --data sound.wav --length 20 --validation 95%",
            "train --data sound.wav --length 20 --target-events 0/s",
            "train --data sound.wav --length 20 --target-events often",
            "train --data sound.wav --length 20 --target-events 5/s --lambda 4",
            "train --data sound.wav --length 20 --target-active 5%",
            "train --data sound.wav --length 20 --update online",
            "train --preset signals --data nan.npy --length 4",
            "train --preset denoise --config half.toml",
            "train --preset signals --data flat.npy --length 4",
            "train --preset signals --data two.safetensors --length 4",
            "train --preset signals --data rows.npy --length 2ms",
            "train --data sound.wav --length 20 --observations bernoulli",
            "train --data sound.wav --length 20 --observations cauchy",
            "train --data sound.wav --length 20 --observations poisson:-1",
            "train --data sound.wav --length 20 --onsets missing.csv",
            "train --data sound.wav --length 20 --onsets words.csv",
            "train --data sound.wav --length 20 --onsets late.csv",
            "train --data sound.wav --length 20 --onsets onsets.csv --observations bernoulli",
            "train --data sound.wav --length 20 --onsets onsets.csv --atoms 1",
            "train --data sound.wav --length 20 --onsets onsets.csv --smooth auto",
            "train --data sound.wav --length 20 --onsets onsets.csv --target-events 5/s",
            "train --data sound.wav --length 20 --onsets onsets.csv --sizes large",
            "train --data sound.wav --length 20 --onsets onsets.csv --kernels fused",
            "train --data sound.wav --length 20 --sizes shared",
            "train --data sound.wav --length 20 --smooth -1",
            "train --data sound.wav --length 20 --smooth auto",
            "train --data sound.wav --length 20 --rank-one --nonnegative",
            "train --preset signals --data nan.npy --length 4 --missing nan",
            "train --data matrix.safetensors --rank-one",
            "train --data matrix.safetensors --length 2ms",
            "train --preset dense --rate 100",
            "events missing sound.wav -o new.csv",
            "events vectors sound.wav -o new.csv",
            "events vectors sound.wav -o sound.wav",
            "events vectors sound.wav -o new.csv --picture new.txt",
            "select sound.wav --length 20 --atoms 0-3",
            "select sound.wav --length 20 --lambda -1",
            "select sound.wav --length 1000",
            "simulate -o new.npy --waveforms 0",
            "simulate -o new.npy --snr 500",
            "simulate -o new.npy --rate 0",
            "simulate -o new.npy --length 2ms --duration 1ms",
            "simulate -o new.npy --events 1000",
            "simulate -o new.npy --observations cauchy",
            "simulate -o new.npy --observations bernoulli --spikes 30-5",
            "simulate -o new.npy --observations bernoulli --spikes 5-900",
            "simulate -o new.npy --observations bernoulli --trials 0",
            "simulate -o new.npy --observations bernoulli --snr 3",
            "simulate -o new.npy --observations bernoulli --events 20",
            "simulate -o new.npy --trials 5",
            "simulate -o rows.npy",
            "simulate -o missing/new.npy",
        ],
    ),
    (
        "Pictures",
        &[
            "denoise missing.png",
            "denoise picture.png --half",
            "denoise empty.png",
            "denoise text.png",
            "denoise page.jpg",
            "denoise phone.jpg",
            "denoise cut.jpg",
            "denoise cut.png",
            "denoise nothing",
            "denoise animation.png",
            "denoise stack.tif",
            "denoise stack.tif --page 3",
            "denoise picture.png --page 2",
            "denoise picture.png --page 0",
            "denoise nan.tif",
            "denoise bands.tif",
            "denoise raw.tif",
            "denoise lab.tif",
            "denoise picture.png --range 1,0",
            "denoise picture.png --range wide",
            "denoise picture.png --sigma -1",
            "denoise picture.png --sigma 0",
            "denoise picture.png --sigma 300",
            "denoise picture.png --sigma loud",
            "denoise picture.png --strength 5",
            "denoise picture.png --strength -1",
            "denoise picture.png --shifts 0",
            "denoise picture.png --shifts 65",
            "denoise picture.png --shifts many",
            "denoise picture.png --tile wide",
            "denoise picture.png -o picture.bmp",
            "denoise picture.png -o picture.png",
            "denoise picture.png -o text.png/out.png",
            "denoise pictures -o folders",
            "denoise picture.png --skip-existing --force",
            "denoise picture.png --panel out.png -o out.png",
            "denoise picture.png -o pictures --panel pictures/picture.png",
            "denoise picture.png -o out.png --panel picture.png --force",
            "denoise pictures --panel panel.png",
            "denoise picture.png --checkpoint missing",
            "denoise picture.png --checkpoint pictures",
            "denoise picture.png --checkpoint vectors",
            "denoise picture.png --backend cuda",
            "denoise --add-noise",
            "evaluate --checkpoint denoise-gray --images missing --sigma 25",
            "evaluate --checkpoint denoise-gray --images nothing --sigma 25",
            "evaluate --checkpoint denoise-gray --images pictures --sigma 25,x",
            "evaluate --checkpoint denoise-gray --images pictures --sigma -3",
            "evaluate --checkpoint denoise-gray",
            "adapt denoise-gray --images pictures",
            "adapt missing --images pictures",
            "adapt pictures --images pictures",
            "adapt vectors --images pictures",
        ],
    ),
    (
        "Weights and checkpoints",
        &[
            "info missing",
            "info pictures",
            "info damaged",
            "export missing --format npz -o new.npz",
            "export denoise-gray --format bmp -o new.bmp",
            "export denoise-gray --format npz -o missing/new.npz",
            "export denoise-gray --format npz -o picture.png",
            "import --dictionary missing.npy IMPORT",
            "import --dictionary empty.safetensors IMPORT",
            "import --dictionary text.safetensors IMPORT",
            "import --dictionary cut.safetensors IMPORT",
            "import --dictionary header.safetensors IMPORT",
            "import --dictionary pointer.safetensors IMPORT",
            "import --dictionary pickle.pt IMPORT",
            "import --dictionary picture.png IMPORT",
            "import --dictionary nan.safetensors IMPORT",
            "import --dictionary two.safetensors IMPORT",
            "import --dictionary two.safetensors --tensor c IMPORT",
            "import --dictionary whole.safetensors IMPORT",
            "import --dictionary bank.safetensors IMPORT",
            "import --dictionary bank.safetensors --stride 0 IMPORT",
            "import --dictionary matrix.safetensors --stride 2 IMPORT",
            "import --dictionary matrix.safetensors --prox soft --step 0.1 --layers 3 -o new",
            "import --dictionary matrix.safetensors --prox soft --lambda -1 --step 0.1 --layers 3 -o new",
            "import --dictionary matrix.safetensors --prox soft --lambda nan --step 0.1 --layers 3 -o new",
            "import --dictionary matrix.safetensors --prox bent --lambda 1 --step 0.1 --layers 3 -o new",
            "import --dictionary matrix.safetensors --prox top-k:0 --step 0.1 --layers 3 -o new",
            "import --dictionary matrix.safetensors --prox soft --lambda 1 --step 0 --layers 3 -o new",
            "import --dictionary matrix.safetensors --prox soft --lambda 1 --step -1 --layers 3 -o new",
            "import --dictionary matrix.safetensors --prox soft --lambda 1 --step 1 --layers 0 -o new",
        ],
    ),
    (
        "Codes",
        &[
            "encode missing rows.npy -o new.npz",
            "encode vectors missing.npy -o new.npz",
            "encode vectors picture.png -o new.npz",
            "encode vectors nothing -o new.npz",
            "encode vectors wide.npy -o new.npz",
            "encode vectors nan.npy -o new.npz",
            "encode vectors rows.npy -o new.txt",
            "encode vectors rows.npy -o rows.npy --force",
            "encode vectors rows.npy -o wide.npy",
            "encode vectors rows.npy -o missing/new.npy",
            "encode vectors rows.npy -o new.npz --layers 0",
            "encode vectors rows.npy -o new.npz --sigma 25",
            "encode vectors rows.npy -o new.npz --exact --layers 3",
            "encode denoise-gray pictures -o new.npy",
            "encode denoise-gray picture.png -o new.npy --sigma 0",
            "encode denoise-gray picture.png -o new.npy --exact",
            "encode denoise-gray picture.png -o new.npy --columns",
            "decode vectors missing.npy -o new.npy",
            "decode vectors wide.npy -o new.npy",
            "decode vectors nan.npy -o new.npy",
            "decode vectors codes.npy -o new.png",
            "decode denoise-gray codes.npy -o new.png",
        ],
    ),
    (
        "Training",
        &[
            "train",
            "train --preset nothing",
            "train --preset dense --steps 0",
            "train --preset dense --batch 0",
            "train --preset dense --learning-rate 0",
            "train --preset dense --learning-rate 2",
            "train --preset dense --lambda -1",
            "train --preset dense --gradient sideways",
            "train --preset dense --gradient truncated:0",
            "train --preset dense --seed -1",
            "train --preset dense --backend cuda",
            "train --preset dense --data pictures",
            "train --preset dense --out pictures",
            "train --preset dense --update noodl --learning-rate 2000",
            "train --preset denoise --data missing",
            "train --preset denoise --data nothing",
            "train --preset denoise --valid pictures",
            "train --preset digits --data pictures",
            "train --preset digits --data digits",
            "train --config missing.toml",
            "train --config text.png",
            "train --preset dense --config unknown.toml",
            "train --preset dense --config range.toml",
            "train --resume missing",
            "train --resume pictures",
            "train --preset dense --devices 0,9",
            "train --preset dense --devices 0,0 --device 0",
            "train --preset dense --devices 0,0 --batch 1",
            "train --preset dense --devices 0,0 --update noodl --learning-rate 20",
            "train --preset dense --elastic",
            "train --preset dense --workers http://127.0.0.1:1",
            "train --preset dense --workers ws://127.0.0.1",
            "train --preset dense --workers ws://127.0.0.1:1 --token-file missing",
            "train --preset dense --workers ws://127.0.0.1:1 --token-file gaps.csv",
            "train --preset dense --workers ws://127.0.0.1:1 --worker-timeout 0",
            "worker --listen 0.0.0.0:0",
            "worker --listen here",
            "explain missing",
            "explain denoise-gray",
            "explain vectors",
            "bench --case nothing",
            "bench --layers 0",
            "experiment nothing",
            "learn",
        ],
    ),
];

/// Makes the files that the commands name.
fn folder(dir: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).unwrap();
    let picture = scene(64, 48, 3);
    for folder in ["nothing", "pictures", "digits", "damaged"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    for name in ["picture.png", "photo.jpg", "pictures/a.png", "pictures/b.png"] {
        picture.write(&dir.join(name)).unwrap();
    }
    for (name, whole) in [("cut.png", "picture.png"), ("cut.jpg", "photo.jpg")] {
        let bytes = fs::read(dir.join(whole)).unwrap();
        write(name, &bytes[..bytes.len() / 2]);
    }
    for name in ["empty.png", "empty.safetensors"] {
        write(name, b"");
    }
    for name in ["text.png", "text.safetensors"] {
        write(name, b"this is no file of that kind, but some words");
    }
    fs::create_dir_all(dir.join("folders/a.png")).unwrap();
    write("animation.png", b"GIF89a and so on");
    let page: &[(u16, u32)] = &[(258, 8)];
    write("stack.tif", &tiff(&[page, page]));
    write("bands.tif", &tiff(&[&[(258, 8), (277, 5)]]));
    write("raw.tif", &tiff(&[&[(258, 8), (50706, 1)]]));
    write("lab.tif", &tiff(&[&[(258, 8), (262, 8), (277, 3)]]));
    write("nan.tif", &tiff(&[&[(258, 32), (339, 3)]]));
    write("page.jpg", b"<!DOCTYPE html><html><title>404</title></html>");
    write("phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and so on");
    write(
        "pointer.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    );
    write("pickle.pt", b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93.");
    write("header.safetensors", &u64::MAX.to_le_bytes());
    write("words.csv", b"name,town\nAda,London\n");
    write("ragged.csv", b"1,2,3\n4,5\n");
    write("gaps.csv", b"a,b\n1,2\n3,\n5,6\n");
    write("onsets.csv", b"sample,atom\n100,0\n500,1\n");
    write("late.csv", b"sample\n3995\n");
    write("zeros.csv", b"0,0\n0,0\n0,0\n0,0\n");
    write("unknown.toml", b"[model]\nlayrs = 3\n");
    write("half.toml", b"[model]\nkernels = \"half\"\n");
    write("range.toml", b"[model]\nlayers = 0\n");
    write("digits/train-images-idx3-ubyte", b"\0\0\x08\x03\0\0\0\x05\0\0\0\x1c\0\0\0\x1c short");
    write("digits/train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x05\x01\x02\x03\x04\x05");
    write("damaged/config.toml", b"[model]\nlayers = \"many\"\n");

    let numbers = |count: usize| -> Vec<u8> {
        (0..count).flat_map(|i| ((i % 7) as f32 / 7.0 - 0.4).to_le_bytes()).collect()
    };
    let sound: Vec<u8> =
        (0..4000i16).flat_map(|i| (i.wrapping_mul(7919) % 1000).to_le_bytes()).collect();
    write("sound.wav", &wav(16, &sound));
    write("cut.wav", &wav(16, &sound)[..5000]);
    write("double.wav", &wav(64, &sound));
    write("flat.npy", &array("1, 20", &1f32.to_le_bytes().repeat(20)));
    write("rows.npy", &array("5, 4", &numbers(20)));
    write("codes.npy", &array("5, 6", &numbers(30)));
    write("wide.npy", &array("5, 9", &numbers(45)));
    let nan = f32::NAN.to_le_bytes();
    write("nan.npy", &array("5, 4", &[&numbers(13)[..], &nan[..], &numbers(6)[..]].concat()));
    let tensors = |name: &str, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]| {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        write(name, &safetensors::serialize(views, None).unwrap());
    };
    let matrix = || ("D", Dtype::F32, vec![4, 6], numbers(24));
    tensors("matrix.safetensors", &[matrix()]);
    tensors("two.safetensors", &[matrix(), ("E", Dtype::F32, vec![4, 6], numbers(24))]);
    tensors("bank.safetensors", &[("D", Dtype::F32, vec![4, 1, 5, 5], numbers(100))]);
    tensors("whole.safetensors", &[("D", Dtype::I64, vec![2, 3], vec![1; 48])]);
    let mut bytes = numbers(24);
    bytes[20..24].copy_from_slice(&f32::NAN.to_le_bytes());
    tensors("nan.safetensors", &[("D", Dtype::F32, vec![4, 6], bytes)]);
    let whole = fs::read(dir.join("matrix.safetensors")).unwrap();
    write("cut.safetensors", &whole[..whole.len() - 20]);
    let status = pudle(
        dir,
        "import --dictionary matrix.safetensors --prox soft --lambda 0.1 --step 0.1 --layers 3 -o vectors",
    );
    assert!(status.status.success(), "{status:?}");
}

/// A little-endian TIFF file whose pages have one pixel and these tags. As a real number, the pixel is no number.
fn tiff(pages: &[&[(u16, u32)]]) -> Vec<u8> {
    let mut bytes = b"II*\0\x10\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
    for (k, page) in pages.iter().enumerate() {
        let fixed = [(256, 1), (257, 1), (262, 1), (273, 8), (277, 1), (279, 8)];
        let tags: BTreeMap<u16, u32> = fixed.into_iter().chain(page.iter().copied()).collect();
        bytes.extend((tags.len() as u16).to_le_bytes());
        for (tag, value) in tags {
            bytes.extend(tag.to_le_bytes());
            bytes.extend([4, 0, 1, 0, 0, 0]);
            bytes.extend(value.to_le_bytes());
        }
        let next = if k + 1 < pages.len() { bytes.len() as u32 + 4 } else { 0 };
        bytes.extend(next.to_le_bytes());
    }
    bytes
}

/// A WAV file of one channel at 8 kHz.
fn wav(bits: u16, samples: &[u8]) -> Vec<u8> {
    let wide = u32::from(bits / 8);
    let format = if bits == 64 { 3u16 } else { 1 };
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + samples.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0");
    bytes.extend(format.to_le_bytes());
    bytes.extend([1, 0]);
    bytes.extend(8000u32.to_le_bytes());
    bytes.extend((8000 * wide).to_le_bytes());
    bytes.extend((wide as u16).to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(samples);
    bytes
}

/// An array of NumPy.
fn array(shape: &str, bytes: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = (text.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\0"[..], &length[..], text.as_bytes(), bytes].concat()
}

fn pudle(dir: &Path, line: &str) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_pudle"))
        .current_dir(dir)
        .env_remove("RUST_LOG")
        .args(line.split_whitespace())
        .output()
        .unwrap()
}

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    walk(dir).into_iter().collect()
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn every_bad_input_has_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    folder(&dir);
    let before = files(&dir);
    let mut page = String::from(
        "# Bad inputs\n\nEach of these commands ends with one line and leaves no file. Exit status 1 is an error, and 2 is a \
         wrong argument. A test runs them all and compares this page.\n",
    );
    let mut wrong = Vec::new();
    for (subject, lines) in COMMANDS {
        page += &format!("\n## {subject}\n\n| command | status | line |\n| --- | --- | --- |\n");
        for line in *lines {
            let line = line.replace("IMPORT", IMPORT);
            let output = pudle(&dir, &line);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let errors: Vec<&str> =
                text.lines().filter(|line| line.starts_with("error: ")).collect();
            let code = output.status.code();
            let said = errors.first().map_or("", |line| &line[7..]);
            if !matches!(code, Some(1 | 2)) || errors.len() != 1 || text.contains("panicked") {
                wrong.push(format!("pudle {line}: {code:?}, {text}"));
            }
            if files(&dir) != before {
                wrong.push(format!("pudle {line}: leaves files"));
                for path in files(&dir).difference(&before) {
                    let _ = if path.is_dir() {
                        fs::remove_dir_all(path)
                    } else {
                        fs::remove_file(path)
                    };
                }
            }
            let said = said.replace(&*dir.to_string_lossy(), "…").replace('|', "\\|");
            page += &format!("| `pudle {line}` | {} | {said} |\n", code.unwrap_or(-1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bad-inputs.md");
    if std::env::var_os("PUDLE_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap();
    for (known, now) in known.lines().zip(page.lines()) {
        assert_eq!(known, now, "docs/bad-inputs.md; write it anew with PUDLE_BLESS=1");
    }
    assert_eq!(known, page);
}
