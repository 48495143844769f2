//! The checkpoints of a run. A checkpoint has a file for the model, the optimiser and the schedule,
//! each with the step in its name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use burn::optim::OptimizerRecord;
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::store::ModuleRecord;
use burn::train::checkpoint::{
    Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy,
    FileCheckpointer,
};
use burn::train::metric::store::EventStoreClient;

use crate::error::{Result, TrainError};
use crate::files::{create_dir, sum_line, write_whole};

const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// The folder of a run's checkpoints. Each file is written under a temporary name and then renamed. When all files of a
/// checkpoint are written, `checkpoint-STEP.sha256` follows with their SHA-256, in the format of `sha256sum`.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// The checkpoints of a run directory.
    pub fn of_run(run: &Path) -> Self {
        Self { dir: run.join("checkpoint") }
    }

    /// Creates the folder.
    pub fn create(&self) -> Result<()> {
        create_dir(&self.dir)
    }

    /// The file of one part at one step.
    pub fn file(&self, part: &str, step: usize) -> PathBuf {
        self.dir.join(format!("{part}-{step}.bpk"))
    }

    /// Steps with at least one file, in ascending order.
    fn steps(&self) -> BTreeSet<usize> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return BTreeSet::new() };
        let step_of = |name: String| {
            let (part, step) = match (name.strip_suffix(".bpk"), name.strip_suffix(".csv")) {
                (Some(name), _) => name.rsplit_once('-')?,
                (None, Some(name)) => ("model", name.strip_prefix("usage-")?),
                (None, None) => {
                    ("model", name.strip_prefix("checkpoint-")?.strip_suffix(".sha256")?)
                }
            };
            PARTS.contains(&part).then_some(())?;
            step.parse().ok()
        };
        let files =
            entries.filter_map(std::result::Result::ok).filter(|entry| entry.path().is_file());
        files.filter_map(|entry| step_of(entry.file_name().into_string().ok()?)).collect()
    }

    /// The file of the checksums of one step.
    fn sums(&self, step: usize) -> PathBuf {
        self.dir.join(format!("checkpoint-{step}.sha256"))
    }

    /// The file that says when atoms were last used. Checkpoints of older versions have none.
    pub fn usage(&self, step: usize) -> PathBuf {
        self.dir.join(format!("usage-{step}.csv"))
    }

    /// All files of a checkpoint that have a checksum.
    fn files(&self, step: usize) -> Vec<PathBuf> {
        let usage = Some(self.usage(step)).filter(|path| path.is_file());
        PARTS.iter().map(|part| self.file(part, step)).chain(usage).collect()
    }

    fn is_complete(&self, step: usize) -> bool {
        PARTS.iter().all(|part| self.file(part, step).is_file())
    }

    /// Writes the checksums of a checkpoint whose files are all written.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn seal(&self, step: usize) -> Result<()> {
        let mut sums = String::new();
        for path in self.files(step) {
            sums += &sum_line(&path, &std::fs::read(&path).map_err(TrainError::io(&path))?);
        }
        write_whole(&self.sums(step), sums.as_bytes())
    }

    /// Writes the checksums of a checkpoint that was read and has none: a kill fell between its files and its checksums, or an
    /// older version wrote it.
    ///
    /// # Errors
    /// Those of [`seal`](Self::seal).
    pub fn seal_if_missing(&self, step: usize) -> Result<()> {
        if self.sums(step).exists() { Ok(()) } else { self.seal(step) }
    }

    /// Compares the files of a checkpoint with their checksums. Checkpoints of older versions have none.
    fn verify(&self, step: usize) -> std::result::Result<(), String> {
        let missing: Vec<&str> =
            PARTS.into_iter().filter(|part| !self.file(part, step).is_file()).collect();
        if !missing.is_empty() {
            return Err(format!("has no file for {}", missing.join(" and ")));
        }
        let Ok(sums) = std::fs::read_to_string(self.sums(step)) else { return Ok(()) };
        let usage = self.usage(step);
        let name = usage.file_name().unwrap_or_default().to_string_lossy();
        if sums.contains(&*name) && !usage.is_file() {
            return Err(format!("has no file {name}"));
        }
        for path in self.files(step) {
            let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
            if !sums.contains(&sum_line(&path, &bytes)) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(format!("{name} does not have the checksum that was written with it"));
            }
        }
        Ok(())
    }

    /// Whether the folder has no file of a checkpoint.
    pub fn is_empty(&self) -> bool {
        self.steps().is_empty()
    }

    /// Whether there is but one checkpoint, whose parts are not all there and which was never sealed: a kill fell into the first
    /// save of a run.
    pub fn has_unfinished_only(&self) -> bool {
        let steps = self.steps();
        steps.len() == 1
            && steps.iter().all(|step| !self.is_complete(*step) && !self.sums(*step).exists())
    }

    /// The step of the last complete checkpoint.
    pub fn last(&self) -> Option<usize> {
        self.steps().into_iter().rev().find(|step| self.is_complete(*step))
    }

    /// The step of the last complete checkpoint whose files can be read. Others are skipped with a warning.
    pub fn last_readable(&self) -> Option<usize> {
        let readable = |step: &usize| {
            let reason = match self.read(*step) {
                Ok(()) => return true,
                Err(reason) => reason,
            };
            let dir = self.dir.display();
            log::warn!("{dir}: the checkpoint of step {step} cannot be used: {reason}");
            false
        };
        self.steps().into_iter().rev().find(readable)
    }

    fn read(&self, step: usize) -> std::result::Result<(), String> {
        self.verify(step)?;
        ModuleRecord::load(self.file("model", step)).map_err(|error| error.to_string())?;
        OptimizerRecord::load(self.file("optim", step)).map_err(|error| error.to_string())?;
        LrSchedulerRecord::load(self.file("scheduler", step)).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Removes all checkpoints except the last `keep` complete ones up to step `reached`. Incomplete checkpoints
    /// of interrupted runs are removed, too. Call it when the checkpoint of `reached` is complete.
    pub fn prune(&self, reached: usize, keep: usize) -> Result<()> {
        let steps = self.steps();
        let complete =
            steps.iter().rev().filter(|step| **step <= reached && self.is_complete(**step));
        let kept: BTreeSet<usize> = complete.take(keep).copied().collect();
        for step in steps.difference(&kept) {
            // The parts go first, so that no checkpoint that is half removed looks like a whole one of an older version.
            let parts = PARTS.map(|part| self.file(part, *step));
            for file in parts.into_iter().chain([self.usage(*step), self.sums(*step)]) {
                match std::fs::remove_file(&file) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(TrainError::io(&file)(error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The checkpointers of model, optimiser and schedule for Burn's Learner, which calls each on its own
    /// thread, and the receiver of their results.
    pub fn checkpointers(&self) -> ([Part; 3], Saves) {
        let (sender, receiver) = channel();
        let part = |name| Part {
            name,
            checkpoints: self.clone(),
            files: FileCheckpointer::new(&self.dir, name),
            sender: sender.clone(),
        };
        (PARTS.map(part), Saves { receiver })
    }
}

/// Saves one part of a checkpoint, and sends the result to [`Saves`].
pub(crate) struct Part {
    name: &'static str,
    checkpoints: Checkpoints,
    files: FileCheckpointer,
    sender: Sender<Result<()>>,
}

impl<R: Checkpoint> Checkpointer<R> for Part {
    fn save(&self, step: usize, record: R) -> std::result::Result<(), CheckpointerError> {
        let result = self.files.save(step, record).map_err(|error| TrainError::Weights {
            path: self.checkpoints.file(self.name, step),
            reason: format!("cannot be written: {error}"),
        });
        // The training loop receives the result and handles errors. If the loop has ended, the result
        // is not needed.
        let _ = self.sender.send(result);
        Ok(())
    }

    fn delete(&self, step: usize) -> std::result::Result<(), CheckpointerError> {
        Checkpointer::<R>::delete(&self.files, step)
    }

    fn restore(&self, step: usize) -> std::result::Result<R, CheckpointerError> {
        self.files.restore(step)
    }
}

/// Receives the results of saves.
pub(crate) struct Saves {
    receiver: Receiver<Result<()>>,
}

impl Saves {
    /// Waits until all parts of one checkpoint are saved.
    ///
    /// # Errors
    /// Returns an error if a part cannot be saved.
    pub fn wait(&self) -> Result<()> {
        let mut result = Ok(());
        for _ in PARTS {
            let part = self.receiver.recv().unwrap_or_else(|_| {
                Err(TrainError::Learner("a checkpoint's thread ended early".into()))
            });
            result = result.and(part);
        }
        result
    }
}

/// Saves whenever the training loop calls it. [`Checkpoints::prune`] deletes old checkpoints after the save.
pub(crate) struct SaveAlways;

impl CheckpointingStrategy for SaveAlways {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        vec![CheckpointingAction::Save]
    }
}
