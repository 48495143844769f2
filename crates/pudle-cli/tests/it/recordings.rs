//! `pudle simulate`, `train`, `events` and `select` on a recording, as a user types them.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

fn words(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command.current_dir(dir).env_remove("RUST_LOG").args(line.split_whitespace()).assert()
}

#[test]
fn a_recording_gives_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let made = "simulate -o rec.npy --truth truth.csv --waveforms 2 --duration 3s --channels 2 --events 20";
    words(dir, made).success().stdout(contains("2 channels, 90000 samples (3.0000 s at 30000 Hz)"));
    let truth = fs::read_to_string(dir.join("truth.csv")).unwrap();
    assert!(truth.starts_with("start,waveform,amplitude\n") && truth.lines().count() > 30);
    words(dir, made).failure().stderr(contains("--force"));

    let train = "train --preset signals --data rec.npy --rate 30000 --atoms 2 --length 2ms --steps 20 --out run";
    words(dir, train).success().stdout(
        contains("2 atoms of 60 samples (2.0000 ms)")
            .and(contains("λ = 4 standard deviations"))
            .and(contains("pudle events run")),
    );
    let events = "events run rec.npy -o events.csv --waveforms waveforms.csv --picture events.png --channels";
    words(dir, events).success().stdout(contains("atom 1: ").and(contains("wrote events.csv")));
    let table = fs::read_to_string(dir.join("events.csv")).unwrap();
    let mut lines = table.lines();
    let names = "trial,time,sample,atom,channel,amplitude,size,confidence,channel_0,channel_1";
    assert_eq!(lines.next(), Some(names));
    let found = lines.clone().count() as f64;
    let wanted = (truth.lines().count() - 1) as f64;
    assert!((0.8..1.2).contains(&(found / wanted)), "{found} events for {wanted}");
    for line in lines {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        assert!((fields[1] * 30_000.0 - fields[2]).abs() < 0.01, "{line}");
        assert!((0.5..=1.0).contains(&fields[7]) && fields[5] > 0.0, "{line}");
    }
    let waveforms = fs::read_to_string(dir.join("waveforms.csv")).unwrap();
    assert_eq!(waveforms.lines().count(), 1 + 2 * 2 * 60);
    assert!(fs::read(dir.join("events.png")).unwrap().starts_with(b"\x89PNG"));
    words(dir, events).failure().stderr(contains("--force"));
    words(dir, "events run rec.npy -o sure.csv --confidence 1.5").failure();
    words(dir, "encode run rec.npy -o codes.npz").success().stderr(contains("pudle events"));

    // Small events of an atom are left out where that is asked for.
    words(dir, "events run rec.npy -o large.csv --least-size 0.8").success();
    let large = fs::read_to_string(dir.join("large.csv")).unwrap().lines().count();
    assert!(large > 10 && large < table.lines().count(), "{large}");
    words(dir, "events run rec.npy -o no.csv --least-size 2")
        .failure()
        .stderr(contains("from 0 to 1"));

    let explain = "explain run -o report --held-out 2 --input rec.npy";
    words(dir, explain)
        .success()
        .stdout(contains("2 of 2 atoms in use").and(contains("events, one click")));
    let page = fs::read_to_string(dir.join("report/report.html")).unwrap();
    assert!(page.contains("rec.npy, from ") && page.contains("held-out event at "));
    assert!(dir.join("report/events.csv").is_file());
    words(dir, "explain run -o check --check --checked 4 --removed 2 --steps 2")
        .success()
        .stdout(contains("| 4 atoms |"));
    words(dir, "explain run -o growth --growth 100").failure();
    words(dir, "explain run -o no --patch 1,2 --input rec.npy")
        .failure()
        .stderr(contains("photographs"));
}

#[test]
fn a_number_of_atoms_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    words(dir, "simulate -o rec.npy --waveforms 2 --duration 4s").success();
    let select = "select rec.npy --rate 30000 --length 2ms --atoms 1-3 --lambda 5 -o all.csv --picture all.svg";
    words(dir, select).success().stdout(contains("chosen").and(contains("2 atoms with λ = 5")));
    let table = fs::read_to_string(dir.join("all.csv")).unwrap();
    assert_eq!(table.lines().next(), Some("atoms,lambda,gain,error,events,chosen"));
    let chosen: Vec<&str> = table.lines().filter(|line| line.ends_with(",1")).collect();
    assert!(chosen.len() == 1 && chosen[0].starts_with("2,5,"), "{table}");
    assert!(fs::read_to_string(dir.join("all.svg")).unwrap().contains("<svg"));
}

#[test]
fn a_wanted_rate_of_events_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    words(dir, "simulate -o rec.npy --waveforms 2 --duration 4s").success();
    let train =
        "train --preset signals --data rec.npy --rate 30000 --atoms 2 --length 2ms --steps 2";
    words(dir, &format!("{train} --target-events 10/s --out run"))
        .success()
        .stdout(contains("about 10 events a second"));
    words(dir, "events run rec.npy -o events.csv").success();
    let count = fs::read_to_string(dir.join("events.csv")).unwrap().lines().count() - 1;
    assert!((28..=52).contains(&count), "{count} events in 4 s");
}

#[test]
fn spikes_give_kernels_at_known_onsets() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let made = "simulate -o raster.npy --observations bernoulli --trials 60 --truth onsets.csv --true-waveforms truth.csv";
    words(dir, made)
        .success()
        .stdout(contains("60 trials, 1 channel, 1000 samples").and(contains("360 onsets")));
    let train = "train --preset signals --data raster.npy --rate 1000 --length 60ms --observations bernoulli --onsets onsets.csv --steps 2 --batch 8 --out run";
    words(dir, train).success().stdout(
        contains("2 atoms of 60 samples (60.0000 ms)")
            .and(contains("360 onsets, one size for each atom; binomial:1 data"))
            .and(contains("the best on trials that were left out"))
            .and(contains("negative log-likelihood"))
            .and(contains("in log-odds"))
            .and(contains("wrote run/baselines.csv")),
    );
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let values = |name: &str| -> Vec<f64> {
        read(name).lines().skip(1).map(|l| l.rsplit(',').next().unwrap().parse().unwrap()).collect()
    };
    let (found, truth) = (values("run/waveforms.csv"), values("truth.csv"));
    assert_eq!(found.len(), 120);
    for (a, b) in found.chunks(60).zip(truth.chunks(60)) {
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cosine = product(a, b) / (product(a, a) * product(b, b)).sqrt();
        assert!(cosine > 0.8, "{cosine}");
    }
    assert_eq!(read("run/events.csv").lines().count(), 361);
    assert_eq!(read("run/baselines.csv").lines().next(), Some("trial,channel,baseline,mean"));
    // The mean of a trial is a rate for each sample: 5 to 30 spikes a second.
    assert!(values("run/baselines.csv").iter().all(|mean| (0.0..0.06).contains(mean)));
    words(dir, "events run raster.npy -o e.csv")
        .failure()
        .stderr(contains("events.csv in its folder"));
    words(dir, "export run --format onnx -o net.onnx").failure();

    // The same data as real numbers, with sizes of their own.
    let train = "train --preset signals --data raster.npy --length 60 --onsets onsets.csv --sizes free --smooth 3000 --steps 2 --batch 8 --validation 20% --out free";
    words(dir, train)
        .success()
        .stdout(contains("sizes of their own; gaussian data").and(contains("windows held out")));
    let sizes = values("free/events.csv");
    assert!(sizes.iter().any(|size| *size != sizes[0]) && sizes.iter().all(|size| *size >= 0.0));
}

#[test]
fn gaps_are_no_error_if_they_are_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    words(dir, "simulate -o rec.npy --waveforms 2 --duration 3s --snr 10").success();
    let mut bytes = fs::read(dir.join("rec.npy")).unwrap();
    let start = bytes.len() - 4 * 90_000;
    for k in 30_000..33_000 {
        bytes[start + 4 * k..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    fs::write(dir.join("gap.npy"), bytes).unwrap();
    let train =
        "train --preset signals --data gap.npy --rate 30000 --atoms 2 --length 2ms --steps 4";
    words(dir, train).failure().stderr(contains("is NaN"));
    words(dir, &format!("{train} --missing nan --rank-one --smooth 1 --out run")).success();
    words(dir, "events run gap.npy -o events.csv --picture events.png").success();
    let table = fs::read_to_string(dir.join("events.csv")).unwrap();
    let samples: Vec<usize> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap().parse().unwrap())
        .collect();
    assert!(samples.len() > 30);
    assert!(samples.iter().all(|sample| !(30_000..33_000).contains(sample)), "{samples:?}");
    words(dir, "select gap.npy --rate 30000 --length 2ms --atoms 2 --lambda 5").failure();
    words(dir, "select gap.npy --rate 30000 --length 2ms --atoms 2 --lambda 5 --missing nan")
        .success();
}
