//! Runs that were stopped or damaged.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use pudle_train::{Checkpoint, Interrupter, TrainError, resume};

use crate::run::{assert_same_end, images, more_steps, read, run, signals, vectors};

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    run(images(11), &whole);
    run(images(8), &parts);
    let last = parts.join("checkpoint/optim-8.bpk");
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() / 2]).unwrap();
    resume(&parts, more_steps(11), Interrupter::new()).unwrap();
    assert_same_end(&whole, &parts);
    // The step was saved again on the way (Burn writes the parameters in any order).
    assert_eq!(fs::read(&last).unwrap().len(), bytes.len());
    for step in [8, 11] {
        fs::write(parts.join(format!("checkpoint/model-{step}.bpk")), "damaged").unwrap();
    }
    let error = resume(&parts, |_| Ok(()), Interrupter::new()).unwrap_err();
    assert!(matches!(error, TrainError::NoCheckpoint(_)), "{error}");
}

#[test]
fn a_run_without_any_checkpoint_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    run(images(6), &whole);
    run(images(6), &parts);
    fs::remove_dir_all(parts.join("checkpoint")).unwrap();
    // With a model but no checkpoint, the training has been somewhere that it cannot go on from.
    let error = resume(&parts, more_steps(9), Interrupter::new()).unwrap_err();
    assert!(matches!(error, TrainError::NoState(_)), "{error}");
    assert!(read(&whole, "model.safetensors") == read(&parts, "model.safetensors"));
    fs::remove_file(parts.join("model.safetensors")).unwrap();
    resume(&parts, |_| Ok(()), Interrupter::new()).unwrap();
    assert_same_end(&whole, &parts);
}

/// A kill within the first save leaves parts of a checkpoint and no other one.
#[test]
fn a_kill_within_the_first_save_starts_the_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    run(images(6), &whole);
    let written = ["usage-4.csv", "model-4.bpk", "scheduler-4.bpk"];
    for count in 1..=written.len() {
        copy_dir(&whole, &parts);
        fs::remove_file(parts.join("model.safetensors")).unwrap();
        for entry in fs::read_dir(parts.join("checkpoint")).unwrap().map(Result::unwrap) {
            if !written[..count].iter().any(|name| entry.file_name() == **name) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        resume(&parts, |_| Ok(()), Interrupter::new()).unwrap();
        assert_same_end(&whole, &parts);
        fs::remove_dir_all(&parts).unwrap();
    }
    // A checkpoint that was whole once is no such rest.
    copy_dir(&whole, &parts);
    for name in ["model-4.bpk", "model-6.bpk"] {
        fs::remove_file(parts.join("checkpoint").join(name)).unwrap();
    }
    let error = resume(&parts, |_| Ok(()), Interrupter::new()).unwrap_err();
    assert!(matches!(error, TrainError::NoCheckpoint(_)), "{error}");
}

#[test]
fn one_flipped_byte_of_a_checkpoint_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    run(images(11), &whole);
    run(images(8), &parts);
    for part in ["model", "optim", "scheduler"] {
        let path = parts.join(format!("checkpoint/{part}-8.bpk"));
        let bytes = fs::read(&path).unwrap();
        for place in [bytes.len() / 3, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            fs::write(&path, &flipped).unwrap();
            let copy = dir.path().join(format!("{part}-{place}"));
            copy_dir(&parts, &copy);
            resume(&copy, more_steps(11), Interrupter::new()).unwrap();
            assert_same_end(&whole, &copy);
        }
        fs::write(&path, &bytes).unwrap();
    }
}

/// A kill between the files of a checkpoint and its checksums leaves no trace.
#[test]
fn a_checkpoint_without_checksums_gets_them_when_its_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    run(images(8), dir.path());
    let sums = dir.path().join("checkpoint/checkpoint-8.sha256");
    let written = fs::read(&sums).unwrap();
    fs::remove_file(&sums).unwrap();
    resume(dir.path(), more_steps(9), Interrupter::new()).unwrap();
    assert!(dir.path().join("checkpoint/model-9.bpk").exists());
    assert!(fs::read(&sums).unwrap() == written);
    // Likewise a kill while an old one is removed, also if the run has nothing left to do.
    let left = dir.path().join("checkpoint/optim-4.bpk");
    fs::write(&left, "of a checkpoint that is half removed").unwrap();
    resume(dir.path(), |_| Ok(()), Interrupter::new()).unwrap();
    assert!(!left.exists());
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Whatever a run has been through, its directory stands for the weights of its last whole checkpoint.
#[test]
fn an_unfinished_run_is_read_at_its_last_checkpoint() {
    let device = Device::flex();
    for config in [images, vectors, signals] {
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        run(config(8), &whole);
        run(config(4), &parts);
        // As a kill leaves a run that went on to step 8 of 20: new checkpoints, old final weights.
        let old = read(&parts, "model.safetensors");
        resume(&parts, more_steps(8), Interrupter::new()).unwrap();
        fs::write(parts.join("model.safetensors"), &old).unwrap();
        let text = fs::read_to_string(parts.join("config.toml")).unwrap();
        fs::write(parts.join("config.toml"), text.replace("steps = 8", "steps = 20")).unwrap();
        let atoms = |dir: &Path| Checkpoint::read(dir, &device).unwrap().model.atoms();
        assert_eq!(atoms(&parts), atoms(&whole));
        // A first run that is killed has no final weights at all.
        fs::remove_file(parts.join("model.safetensors")).unwrap();
        assert_eq!(atoms(&parts), atoms(&whole));
        // Final weights with a flipped byte are not taken either.
        let mut bytes = read(&whole, "model.safetensors");
        *bytes.last_mut().unwrap() ^= 1;
        let before = atoms(&whole);
        fs::write(whole.join("model.safetensors"), &bytes).unwrap();
        assert_eq!(atoms(&whole), before);
        fs::remove_dir_all(whole.join("checkpoint")).unwrap();
        let error = Checkpoint::read(&whole, &device).unwrap_err().to_string();
        assert!(error.contains("model.safetensors") && error.contains("checksum"), "{error}");
    }
}

/// Checkpoints that cannot be written end the run and cost none of the old ones.
#[cfg(unix)]
#[test]
fn a_failing_save_keeps_the_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = images(4);
    config.training.keep = 1;
    run(config, dir.path());
    // A folder in the way of a part's file cannot be replaced.
    let blocked = dir.path().join("checkpoint/optim-8.bpk");
    fs::create_dir_all(blocked.join("full")).unwrap();
    let error = resume(dir.path(), more_steps(12), Interrupter::new()).unwrap_err().to_string();
    assert!(error.contains("optim-8.bpk"), "{error}");
    // What a resumed run needs beside the parts is there before them.
    assert!(dir.path().join("checkpoint/usage-8.csv").is_file());
    assert!(!dir.path().join("checkpoint/checkpoint-8.sha256").exists());
    for part in ["model", "optim", "scheduler"] {
        assert!(dir.path().join(format!("checkpoint/{part}-4.bpk")).is_file());
    }
    fs::remove_dir_all(&blocked).unwrap();
    let whole = tempfile::tempdir().unwrap();
    run(images(12), whole.path());
    resume(dir.path(), |_| Ok(()), Interrupter::new()).unwrap();
    assert!(read(dir.path(), "model.safetensors") == read(whole.path(), "model.safetensors"));
}

#[test]
fn a_damaged_history_keeps_its_whole_rows() {
    let dir = tempfile::tempdir().unwrap();
    run(images(5), dir.path());
    let path = dir.path().join("metrics.csv");
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.clone();
    bytes.extend(b"6,train,1.0,\xff\xfe,");
    fs::write(&path, &bytes).unwrap();
    resume(dir.path(), |_| Ok(()), Interrupter::new()).unwrap();
    assert!(fs::read(&path).unwrap() == whole);
}
