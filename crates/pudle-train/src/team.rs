//! The devices that share the batches of a training.

use std::sync::OnceLock;
use std::time::Duration;

use burn::tensor::Device;
use pudle_core::{Backend, BackendError, WorkerAddress};

use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::update::UpdateRule;

/// How the trainings of this process share their batches: among devices of this machine, or among workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Numbers of devices of the run's backend, counted from 0. A number may occur several times.
    pub devices: Vec<usize>,
    /// Workers, with all their devices. If there are any, the devices of this machine do not count: the first of them holds the
    /// weights, updates them and validates.
    pub workers: Vec<WorkerAddress>,
    /// The longest time of a connection or of a step on a worker, > 0.
    pub timeout: Duration,
    /// Whether a training goes on without a device or worker that fails.
    pub elastic: bool,
}

static SHARING: OnceLock<Sharing> = OnceLock::new();

/// Lets every training of this process share its batches among devices. A run does not store them: the same run may go on with
/// others, and gets the same weights up to rounding. Returns `false` if something else was chosen before.
pub fn share_batches(sharing: Sharing) -> bool {
    *SHARING.get_or_init(|| sharing.clone()) == sharing
}

/// A device that computes a part of each batch.
#[derive(Clone, Debug)]
pub(crate) struct Partner {
    /// Name for messages.
    pub name: String,
    /// The device, without autodiff.
    pub device: Device,
}

/// The devices of a training.
#[derive(Clone, Debug)]
pub(crate) struct Team {
    pub partners: Vec<Partner>,
    /// The longest time of a step on a device; `None` waits without end.
    pub deadline: Option<Duration>,
    /// Whether the training goes on without a device that fails.
    pub elastic: bool,
}

impl Team {
    /// The devices that [`share_batches`] names; `None` for one device of this machine.
    ///
    /// # Errors
    /// Returns an error if a device does not exist, if a worker cannot be used, or if the training cannot be shared.
    pub fn of_process(config: &RunConfig) -> Result<Option<Self>> {
        let Some(sharing) = SHARING.get() else { return Ok(None) };
        let elastic = sharing.elastic;
        let team = match (&sharing.workers[..], &sharing.devices[..]) {
            ([], [] | [_]) => return Ok(None),
            ([], numbers) => Self {
                partners: of_this_machine(config.backend, numbers)?,
                deadline: None,
                elastic,
            },
            (workers, _) => {
                let deadline = Some(sharing.timeout);
                Self { partners: of_workers(workers, sharing.timeout)?, deadline, elastic }
            }
        };
        team.checked(config).map(Some)
    }

    /// # Errors
    /// Returns an error if the batches or the update rule of a training cannot be shared.
    fn checked(self, config: &RunConfig) -> Result<Self> {
        let training = &config.training;
        if config.model.shared {
            let range = "false if several devices share a batch: each would have a size of its own";
            return Err(TrainError::range("model.shared", true, range));
        }
        let devices = self.partners.len();
        if training.update != UpdateRule::Adam {
            let range = "\"adam\" if several devices share a batch";
            return Err(TrainError::range("training.update", training.update, range));
        }
        if training.batch < devices {
            let range = format!("at least {devices}, the number of devices");
            return Err(TrainError::range("training.batch", training.batch, range));
        }
        Ok(self)
    }
}

fn of_this_machine(backend: Backend, numbers: &[usize]) -> Result<Vec<Partner>> {
    let present = backend.devices()?;
    let partner = |&number: &usize| match present.get(number) {
        Some(device) => {
            let name = format!("device {number} of {backend}");
            Ok(Partner { name, device: device.clone() })
        }
        None => Err(BackendError::NoSuchDevice { backend, number, count: present.len() }.into()),
    };
    numbers.iter().map(partner).collect()
}

fn of_workers(workers: &[WorkerAddress], timeout: Duration) -> Result<Vec<Partner>> {
    let mut partners = Vec::new();
    for worker in workers {
        let devices = worker.connect(timeout)?;
        let several = devices.len() > 1;
        partners.extend(devices.into_iter().enumerate().map(|(k, device)| {
            let name = match several {
                true => format!("{} device {k}", worker.url),
                false => worker.url.clone(),
            };
            Partner { name, device }
        }));
    }
    Ok(partners)
}
