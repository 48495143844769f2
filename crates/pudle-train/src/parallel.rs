//! Training steps that several devices share.
//!
//! Each device has a thread. It copies the weights to its device, computes the gradient of its part of the batch, and brings
//! it back. Burn's own step for several devices waits without end for each of them, and does not tell which one failed: this one has
//! a deadline, and can go on with the devices that are left.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use burn::train::{TrainOutput, TrainStep};
use pudle_core::Dictionary;

use crate::data::DeviceBatch;
use crate::error::{Result, TrainError};
use crate::learner::Trainee;
use crate::metrics::StepRecord;
use crate::team::{Partner, Team};

/// A part of a batch, and the model whose gradient is asked for.
struct Request<const D: usize, A: Dictionary<D>> {
    batch: DeviceBatch<D>,
    model: Trainee<D, A>,
}

/// The gradient on the main device and the figures, or why there are none.
type Reply = std::result::Result<TrainOutput<StepRecord>, String>;

/// The thread of a device.
struct Worker<const D: usize, A: Dictionary<D>> {
    name: String,
    requests: Sender<Request<D, A>>,
    replies: Receiver<Reply>,
}

/// The threads of all devices that are left.
pub(crate) struct Parallel<const D: usize, A: Dictionary<D>> {
    workers: Vec<Worker<D, A>>,
    deadline: Option<Duration>,
    elastic: bool,
}

impl<const D: usize, A: Dictionary<D>> Parallel<D, A> {
    /// Starts a thread for each device of `team`. Gradients come back to `main`, with autodiff as the model's.
    pub fn start(team: &Team, main: &Device) -> Self {
        let workers = team.partners.iter().map(|partner| Worker::start(partner, main)).collect();
        Self { workers, deadline: team.deadline, elastic: team.elastic }
    }

    /// The gradient of the loss of `batch` and its figures: means over the batch, summed in the order of the devices.
    ///
    /// # Errors
    /// Returns an error if a device fails or is late, unless the training is elastic and a device is left.
    pub fn step(
        &mut self,
        model: &Trainee<D, A>,
        batch: &DeviceBatch<D>,
    ) -> Result<TrainOutput<StepRecord>> {
        loop {
            let outputs = self.outputs(model, batch);
            let Some(failure) = outputs.iter().find_map(|(_, reply)| reply.as_ref().err()) else {
                return Ok(merged(model, outputs));
            };
            let failure = failure.clone();
            // A device that is late would answer a later step with the gradient of this one.
            let mut answered = outputs.iter().map(|(_, reply)| reply.is_ok());
            self.workers.retain(|_| answered.next().unwrap_or(true));
            if !self.elastic || self.workers.is_empty() {
                return Err(TrainError::Learner(failure));
            }
            log::warn!("{failure}; the training goes on without it, on {}", self.names());
        }
    }

    fn names(&self) -> String {
        self.workers.iter().map(|worker| &*worker.name).collect::<Vec<_>>().join(", ")
    }

    /// The reply of each device for its part of the batch, and the part's share. Devices beyond the number of data have none.
    fn outputs(&self, model: &Trainee<D, A>, batch: &DeviceBatch<D>) -> Vec<(f64, Reply)> {
        let data = batch.input.dims()[0];
        let parts = self.workers.len().min(data);
        let start = |k: usize| k * data / parts;
        let share = |k: usize| (start(k + 1) - start(k)) as f64 / data as f64;
        for (k, worker) in self.workers[..parts].iter().enumerate() {
            let batch = batch.part(start(k)..start(k + 1), share(k));
            // A thread that has ended is found out by its missing reply.
            let _ = worker.requests.send(Request { batch, model: model.clone() });
        }
        let end = self.deadline.map(|deadline| Instant::now() + deadline);
        let replies = self.workers[..parts].iter().map(|worker| worker.reply(end));
        replies.enumerate().map(|(k, reply)| (share(k), reply)).collect()
    }
}

/// The sum of the gradients, and the means of the figures.
fn merged<const D: usize, A: Dictionary<D>>(
    model: &Trainee<D, A>,
    outputs: Vec<(f64, Reply)>,
) -> TrainOutput<StepRecord> {
    let mut sum = GradientsAccumulator::new();
    let mut records = Vec::with_capacity(outputs.len());
    for (share, reply) in outputs {
        if let Ok(TrainOutput { grads, item }) = reply {
            sum.accumulate(model, grads);
            records.push((share, item));
        }
    }
    TrainOutput { grads: sum.grads(), item: StepRecord::merged(&records) }
}

impl<const D: usize, A: Dictionary<D>> Worker<D, A> {
    fn start(partner: &Partner, main: &Device) -> Self {
        let (requests, received) = channel::<Request<D, A>>();
        let (sender, replies) = channel();
        let Partner { name, device } = partner.clone();
        let (device, main) = (device.autodiff(), main.clone());
        thread::spawn(move || {
            for Request { batch, model } in received {
                let work = || output(&model, batch, &device, &main);
                let reply = catch_unwind(AssertUnwindSafe(work)).map_err(reason);
                if sender.send(reply).is_err() {
                    break;
                }
            }
        });
        Self { name, requests, replies }
    }

    /// The reply to the last request, which must be there at `end`.
    fn reply(&self, end: Option<Instant>) -> Reply {
        let reply = match end {
            Some(end) => self.replies.recv_timeout(end.saturating_duration_since(Instant::now())),
            None => self.replies.recv().map_err(RecvTimeoutError::from),
        };
        match reply {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(reason)) => Err(format!("{}: {reason}", self.name)),
            Err(RecvTimeoutError::Timeout) => Err(format!("{}: does not answer", self.name)),
            Err(RecvTimeoutError::Disconnected) => Err(format!("{}: has ended", self.name)),
        }
    }
}

/// The gradient of a part of a batch.
fn output<const D: usize, A: Dictionary<D>>(
    model: &Trainee<D, A>,
    batch: DeviceBatch<D>,
    device: &Device,
    main: &Device,
) -> TrainOutput<StepRecord> {
    let copy = model.clone().fork(device);
    let TrainOutput { grads, item } = TrainStep::step(&copy, batch.moved_to(device));
    let grads: GradientsParams = grads.to_device(main, model);
    TrainOutput { grads, item }
}

/// The message of a panic, in one line.
fn reason(panic: Box<dyn Any + Send>) -> String {
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("fails").to_owned(),
    };
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
