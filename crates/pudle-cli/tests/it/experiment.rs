//! `pudle experiment`, as it is typed.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

/// Settings that take a second.
const TINY: [&str; 6] = ["--count", "40", "--data", "2", "--seeds", "1"];

fn pudle(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command
        .env_remove("RUST_LOG")
        .current_dir(dir)
        .arg("experiment")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_experiment_goes_on_in_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let run =
        |more: &[&str]| pudle(dir.path(), &[&["gradient-dynamics"], &TINY[..], more].concat());
    let first = run(&["--out", "e1", "--json"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(summary["experiment"], "gradient-dynamics");
    assert_eq!(summary["settings"]["count"], 40);
    assert_eq!(summary["rows"][0]["published"], 2.369);
    assert!(summary["rows"][0]["ours_mean"].is_f64() && summary["rows"][0]["ours_sd"].is_null());

    let again = run(&["--out", "e1", "--json"]);
    assert_eq!(again.stdout, first.stdout, "nothing is run again");
    let other = run(&["--out", "e1", "--lambda", "0.1"]);
    assert_eq!(other.status.code(), Some(1));
    let said = text(&other.stderr);
    assert!(said.contains("e1: holds results of other settings (lambda is 0.2 there"), "{said}");
    assert!(said.contains("name another folder with --out"), "{said}");

    let table = run(&["--out", "e1"]);
    assert!(text(&table.stdout).contains("| ‖z_t − ẑ‖, t = 1 | 2.369 |"));
}

#[test]
fn every_setting_is_a_flag_that_says_its_default() {
    let dir = tempfile::tempdir().unwrap();
    for (experiment, flags) in [
        ("gradient-dynamics", &["--truncation <K>", "[10000; quick: 1000]"][..]),
        ("dictionary-recovery", &["--learning-rate <R,…>", "large: 1000", "[dec,ae-lasso,ae-ls]"]),
        ("baselines", &["--save-data <DIR>", "--noodl-rate <R>", "[10,20,40; quick: 5]"]),
        ("initialisation", &["--gap <G>", "uniform:1:2"]),
        ("code-error", &["--held-layers <T>"]),
        ("denoising-table", &["--hard-levels <L,…>", "[0.08,0.12,0.16,0.2; quick:"]),
    ] {
        let help = text(&pudle(dir.path(), &[experiment, "--help"]).stdout);
        for flag in flags {
            assert!(help.contains(flag), "{experiment}: no {flag} in\n{help}");
        }
    }
}

#[test]
fn wrong_settings_are_named_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["gradient-dynamics", "--seeds", "0"][..], "`seeds` is 0"),
        (&["gradient-dynamics", "--sparsity", "101"], "sparsity"),
        (&["gradient-dynamics", "--step", "NaN"], "model.step"),
        (&["gradient-dynamics", "--lambda=-1"], "model.threshold.lambda"),
        (&["dictionary-recovery", "--batch", "20000"], "`batch` is 20000"),
        (&["dictionary-recovery", "--layers", "0"], "`layers` is 0"),
        (&["dictionary-recovery", "--learning-rate", "1e-3,inf"], "`learning_rate` is inf"),
        (&["baselines", "--decay", "0.2"], "`decay` is 0.2"),
        (&["baselines", "--sparsity", "2000"], "`sparsity` is 2000"),
        (&["initialisation", "--merge", "2"], "`merge` is 2"),
        (&["initialisation", "--amplitude", "one-sign:1:2"], "`amplitude` is one-sign:1:2"),
        (&["code-error", "--held-layers", "10"], "`held_layers` is 10"),
        (&["denoising-table", "--train", "nowhere"], "`train` is nowhere"),
    ] {
        let output = pudle(dir.path(), arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.starts_with("error: ") && error.contains(said), "{arguments:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
    for arguments in [
        &["gradient-dynamics", "--preset", "huge"][..],
        &["gradient-dynamics", "--amplitude", "cauchy:0:1"],
        &["dictionary-recovery", "--gradients", "dec,nonsense"],
        &["baselines", "--methods", "ksvd"],
        &["nonsense"],
    ] {
        assert_eq!(pudle(dir.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn data_of_the_baselines_are_written_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "baselines",
        "--dim",
        "6",
        "--atoms",
        "9",
        "--sparsity",
        "2",
        "--count",
        "20",
        "--batch",
        "5",
        "--steps",
        "3",
        "--save-data",
        "data",
    ];
    let output = pudle(dir.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let bytes = std::fs::read(dir.path().join("data/data-s2.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("x").unwrap().shape(), [15, 6]);
    for name in ["truth", "start"] {
        assert_eq!(file.tensor(name).unwrap().shape(), [6, 9]);
    }
}
