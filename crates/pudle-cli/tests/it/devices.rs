//! The list of devices, and the choice of one.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;

fn pudle(line: &str) -> assert_cmd::assert::Assert {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    let done = command.current_dir(dir.path()).args(line.split_whitespace()).assert();
    assert_eq!(dir.path().read_dir().unwrap().count(), 0, "{line}: nothing is left behind");
    done
}

#[test]
fn the_list_names_every_backend() {
    let list = pudle("devices").success().stdout(contains("flex     0 CPU"));
    let list = String::from_utf8(list.get_output().stdout.clone()).unwrap();
    for backend in ["ndarray", "wgpu", "cuda"] {
        assert!(list.lines().any(|line| line.starts_with(backend)), "{list}");
    }
    if cfg!(not(feature = "cuda")) {
        assert!(list.contains("cuda     not compiled in"), "{list}");
    }
    let json = pudle("devices --json").success().get_output().stdout.clone();
    let devices: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&devices[0]["backend"], &devices[0]["number"]), (&"flex".into(), &0.into()));
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    for command in [
        "denoise --backend flex --device 7",
        "train --preset dense --steps 1 --device 7",
        "bench --device 7",
        "experiment code-error --preset quick --device 7",
        "evaluate --checkpoint denoise-gray --images x --sigma 25 --device 7",
        "explain x --device 7",
        "encode denoise-gray x.npy -o z.npz --device 7",
        "decode denoise-gray z.npz -o x.npy --device 7",
    ] {
        let error =
            contains("device 7 of backend \"flex\": there are 1").and(contains("pudle devices"));
        pudle(command).failure().code(1).stderr(error.and(contains("panicked").not()));
    }
    pudle("bench --device 0 --case dense --side 5 --atoms 7 --batch 2 --layers 2 --repetitions 1")
        .success();
    pudle("bench --device first").failure().code(2);
}
