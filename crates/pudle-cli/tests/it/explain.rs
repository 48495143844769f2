//! `pudle explain` as a user types it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

fn words(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command.current_dir(dir).env_remove("RUST_LOG").args(line.split_whitespace()).assert()
}

fn summary(dir: &Path) -> Value {
    let file = ["explanation.json", "check.json"].map(|name| dir.join(name));
    let file = file.iter().find(|file| file.is_file()).unwrap();
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// A run over drawn digits, `digits`, and one over drawn pictures, `filters`.
fn runs(dir: &Path) {
    let digits = "[model.dictionary]\nkind = \"dense\"\ndim = 784\natoms = 24\n\
                  [data]\nkind = \"strokes\"\ncount = 200\nclasses = [0, 1]\n";
    fs::write(dir.join("digits.toml"), digits).unwrap();
    words(dir, "train --preset digits --config digits.toml --steps 300 --out digits").success();
    fs::create_dir(dir.join("pictures")).unwrap();
    for k in 0..3u32 {
        let value = |x: u32, y: u32| ((x / (5 + k) + y / 7) % 2 * 120 + x + k * 20) as u8;
        image::GrayImage::from_fn(60, 48, |x, y| image::Luma([value(x, y)]))
            .save(dir.join(format!("pictures/{k}.png")))
            .unwrap();
    }
    let filters = "[model.dictionary]\nkind = \"conv2d\"\natoms = 8\nchannels = 1\nsize = 5\n\
                   stride = 4\n[data]\nkind = \"photographs\"\ndir = \"pictures\"\ncrop = 33\n\
                   sigma = 15\nflips = true\n";
    fs::write(dir.join("filters.toml"), filters).unwrap();
    words(dir, "train --preset denoise --config filters.toml --steps 100 --out filters").success();
}

#[test]
fn runs_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    runs(dir);

    words(dir, "explain digits --top 3 --held-out 2 -o a/report")
        .success()
        .stdout(contains("the identity").and(contains("wrote a/report/report.html")));
    let found = summary(&dir.join("a/report"));
    assert_eq!((&found["data"], &found["atoms"]), (&160.into(), &24.into()));
    assert!(found["smallest_cosine"].as_f64().unwrap() <= 1.0);
    assert_eq!(found["ridge"], "sphere");
    // An input of the digits' size; a large ridge explains nothing, and the report says so.
    image::GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * y / 3) as u8]))
        .save(dir.join("own.png"))
        .unwrap();
    words(dir, "explain digits --input own.png --ridge 1e9 -o b").success();
    assert!(summary(&dir.join("b"))["residual_of_outputs"].as_f64().unwrap() > 0.9);
    let page = fs::read_to_string(dir.join("b/report.html")).unwrap();
    assert!(page.contains("own.png") && page.contains("is no explanation"));

    // A report is replaced with --force only, and nothing else is.
    words(dir, "explain digits -o a/report").failure().stderr(contains("--force"));
    words(dir, "explain digits -o a/report --force --held-out 0").success();
    words(dir, "explain digits -o pictures --force").failure().stderr(contains("other files"));

    words(dir, "explain digits --growth 100,200")
        .success()
        .stdout(contains("peak MiB").and(contains("\n      200 ")));
    words(dir, "explain digits --check --checked 4 --removed 5 --steps 4 --batch 40 -o check")
        .success()
        .stdout(contains("4 atoms").and(contains("4 outputs")));
    let found = summary(&dir.join("check"));
    assert_eq!(found["atoms"]["removals"].as_array().unwrap().len(), 4);
    let first = &found["atoms"]["removals"][0];
    assert!(first["predicted"].as_f64().unwrap() > 0.0 && first["actual"].as_f64().unwrap() > 0.0);
    for file in ["removals.csv", "summary.md", "figures/atoms.png", "figures/outputs.svg"] {
        assert!(dir.join("check").join(file).is_file(), "{file}");
    }

    words(dir, "explain filters -o c --input pictures/1.png --add-noise --patch 20,30")
        .success()
        .stdout(contains("in use"));
    // Fifteen positions along 60 pixels, after reflection, and twelve along 48, in each of three pictures.
    let found = summary(&dir.join("c"));
    assert_eq!(found["data"], 3 * 15 * 12);
    for file in ["patches-0.png", "filters.svg", "maps-0.png", "photograph-0.png"] {
        assert!(dir.join("c/figures").join(file).is_file(), "{file}");
    }
    words(dir, "explain filters -o d --photographs 2 --data pictures --sigma 14").success();
    assert_eq!(summary(&dir.join("d"))["data"], 2 * 15 * 12);

    // Dictionaries that were imported: their data are named, and their kind where it is not known.
    for run in ["digits", "filters"] {
        words(dir, &format!("export {run} --format safetensors -o {run}.safetensors")).success();
        let line = format!("import --dictionary {run}.safetensors -o imported-{run}");
        words(dir, &line).success();
    }
    words(dir, "explain imported-filters --data pictures -o e").success();
    assert_eq!(summary(&dir.join("e"))["data"], 3 * 15 * 12);
    words(dir, "explain imported-digits --data-kind strokes -o f --held-out 1").success();
    assert_eq!(summary(&dir.join("f"))["atoms"], 24);

    let wrong = [
        ("explain imported-digits -o x", "choose --data-kind digits", 1),
        ("explain imported-digits --data pictures -o x", "pictures", 1),
        ("explain imported-digits --data-kind digits -o x", "--data", 1),
        ("explain imported-digits --data-kind strokes --data pictures -o x", "drawn", 1),
        ("explain imported-filters -o x", "name their folder with --data", 1),
        ("explain imported-filters --data-kind strokes -o x", "dense", 1),
        ("explain imported-digits --check -o x", "--check needs a run", 1),
        ("explain digits --data-kind strokes -o x", "leave out --data-kind", 1),
        ("explain digits --data-kind birds -o x", "birds", 2),
        ("explain digits --ridge -1 -o x", "-1", 2),
        ("explain digits --top 1 -o x", "between 2 and 64", 1),
        ("explain digits --input pictures/0.png -o x", "28×28", 1),
        ("explain digits --input none.png -o x", "none.png", 1),
        ("explain digits --sigma 3 -o x", "photographs", 1),
        ("explain digits --growth 1", "growth", 1),
        ("explain digits --check --checked 2 -o x", "checked", 1),
        ("explain digits --check --checked 4 --removed 0 -o x", "removed", 1),
        ("explain digits --check --checked 4 --batch 30 -o x", "batch", 1),
        ("explain digits --check --checked 4 --removed 41 -o x", "removed", 1),
        ("explain digits --check --top 3 -o x", "cannot be used with", 2),
        ("explain digits --growth 100 --top 1", "between 2 and 64", 1),
        ("explain digits --growth 100 --held-out 3", "cannot be used with", 2),
        ("explain digits -o .", "a name", 1),
        ("explain filters --check -o x", "digits", 1),
        ("explain filters --held-out 2 -o x", "digits", 1),
        ("explain filters --sigma 40 -o x", "trained for", 1),
        ("explain filters --patch 3,3 -o x", "--input", 2),
        ("explain filters --input own.png --sigma 40 -o x", "trained for", 1),
        ("explain filters --patch 3 --input own.png -o x", "row and a column", 2),
        ("explain filters --input pictures/0.png --add-noise --patch 60,3 -o x", "48 rows", 1),
        ("explain filters --sigma 300 -o x", "between 0 and 255", 1),
        ("explain filters --photographs 0 -o x", "at least 1", 1),
        ("explain filters --data none -o x", "none", 1),
        ("explain none -o x", "none", 1),
        ("explain denoise-gray --data none -o x", "none", 1),
        ("explain denoise-gray --check --data pictures -o x", "digits", 1),
    ];
    for (line, word, code) in wrong {
        words(dir, line).failure().code(code).stderr(contains(word));
        assert!(!dir.join("x").exists(), "{line} left something");
    }
}
