//! Denoisers trained as parts of an experiment.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use pudle_train::{Checkpoint, RunConfig, train_watched};

use crate::error::{ExperimentError, Result};
use crate::experiment::Task;

/// Trains in the state folder of a part, and continues a training that was interrupted there. Every step adds `work` to the
/// progress of the part.
pub(crate) fn train_denoiser(config: RunConfig, task: &Task<'_>, work: u64) -> Result<Checkpoint> {
    let state = &task.state;
    let done = Arc::new(AtomicU64::new(0));
    let trained = thread::scope(|scope| {
        let training = scope.spawn(|| train_watched(config, state, done.clone()));
        let mut told = 0;
        while !training.is_finished() {
            thread::sleep(Duration::from_millis(100));
            let now = done.load(Ordering::Relaxed);
            task.progress.add((now - told) * work);
            told = now;
        }
        training.join()
    });
    trained.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok(Checkpoint::read(state, task.device)?)
}

/// Returns an error if a folder of photographs does not exist.
pub(crate) fn check_folders(train: &Path, test: &Path) -> Result<()> {
    for (field, dir) in [("train", train), ("test", test)] {
        if !dir.is_dir() {
            return Err(ExperimentError::range(
                field,
                dir.display(),
                "a folder of photographs (datasets/README.md says where to get them)",
            ));
        }
    }
    Ok(())
}

/// Steps and PSNR of the validations of a run.
pub(crate) fn test_curve(path: &Path) -> Result<Vec<[f64; 2]>> {
    let damaged = |reason: String| ExperimentError::damaged(path, reason);
    let mut rows = csv::Reader::from_path(path).map_err(|error| damaged(error.to_string()))?;
    let header = rows.headers().map_err(|error| damaged(error.to_string()))?.clone();
    let column = |name: &str| {
        header.iter().position(|n| n == name).ok_or_else(|| damaged(format!("no column {name}")))
    };
    let (step, split, psnr) = (column("step")?, column("split")?, column("psnr")?);
    let mut curve = Vec::new();
    for row in rows.records() {
        let row = row.map_err(|error| damaged(error.to_string()))?;
        if &row[split] == "valid" {
            let number = |k: usize| {
                row[k].parse().map_err(|_| damaged(format!("\"{}\" is no number", &row[k])))
            };
            curve.push([number(step)?, number(psnr)?]);
        }
    }
    Ok(curve)
}
