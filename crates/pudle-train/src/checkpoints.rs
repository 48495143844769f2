//! The checkpoints of a run: model, optimiser and schedule, a file each under the step's number.

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
use crate::files::create_dir;

const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// The folder of a run's checkpoints. A checkpoint is whole once all its parts are there, each of
/// which is written beside its place and renamed into it.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// Those below a run directory.
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

    /// Steps of which at least one part is there, in ascending order.
    fn steps(&self) -> BTreeSet<usize> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return BTreeSet::new() };
        let step_of = |name: String| {
            let (part, step) = name.strip_suffix(".bpk")?.rsplit_once('-')?;
            PARTS.contains(&part).then_some(())?;
            step.parse().ok()
        };
        entries.filter_map(|entry| step_of(entry.ok()?.file_name().into_string().ok()?)).collect()
    }

    fn is_whole(&self, step: usize) -> bool {
        PARTS.iter().all(|part| self.file(part, step).is_file())
    }

    /// Whether nothing was ever saved here.
    pub fn is_empty(&self) -> bool {
        self.steps().is_empty()
    }

    /// The last whole checkpoint whose files can be read; damaged ones are passed over with a
    /// warning.
    pub fn last_readable(&self) -> Option<usize> {
        let readable = |step: &usize| {
            let reason = match self.read(*step) {
                Ok(()) => return true,
                Err(reason) => reason,
            };
            log::warn!("{}: checkpoint of step {step} is damaged: {reason}", self.dir.display());
            false
        };
        self.steps().into_iter().rev().filter(|step| self.is_whole(*step)).find(readable)
    }

    fn read(&self, step: usize) -> std::result::Result<(), String> {
        ModuleRecord::load(self.file("model", step)).map_err(|error| error.to_string())?;
        OptimizerRecord::load(self.file("optim", step)).map_err(|error| error.to_string())?;
        LrSchedulerRecord::load(self.file("scheduler", step)).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Once the checkpoint of `reached` is whole: removes all but the last `keep` whole ones, and
    /// what earlier interruptions left of others.
    pub fn prune(&self, reached: usize, keep: usize) -> Result<()> {
        let steps = self.steps();
        let whole = steps.iter().rev().filter(|step| **step <= reached && self.is_whole(**step));
        let kept: BTreeSet<usize> = whole.take(keep).copied().collect();
        for step in steps.difference(&kept) {
            for file in PARTS.map(|part| self.file(part, *step)) {
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

    /// A checkpointer per part for Burn's Learner, which calls them on threads of their own, and
    /// where to learn what became of a save.
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

/// Saves one part, and reports.
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
        // The training loop waits for the report and handles a failure itself; without it there is
        // nobody left to tell.
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

/// What became of saves.
pub(crate) struct Saves {
    receiver: Receiver<Result<()>>,
}

impl Saves {
    /// Waits for all parts of one checkpoint.
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

/// Saves whenever the training loop asks; deleting is [`Checkpoints::prune`]'s, after the save.
pub(crate) struct SaveAlways;

impl CheckpointingStrategy for SaveAlways {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        vec![CheckpointingAction::Save]
    }
}
