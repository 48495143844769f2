//! The devices or workers that share the batches of a training.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pudle_core::{WorkerAddress, choose_device};
use pudle_train::{Sharing, share_batches};

use crate::failure::Failure;

/// The devices or workers that share the batches of a training.
#[derive(clap::Args)]
pub struct SharingArgs {
    /// Numbers of the backend's devices that share every batch, from 0: each computes the gradient of a part of it. The weights are
    /// those of one device, up to rounding. A number may occur several times.
    #[arg(long, value_name = "N,…", value_delimiter = ',', conflicts_with = "number")]
    devices: Vec<usize>,
    /// Workers that share every batch, with all their devices: ws://HOST:PORT, as `pudle worker` prints it. This machine draws the
    /// data, updates the weights and validates.
    #[arg(long, value_name = "URL,…", value_delimiter = ',', value_parser = parse_url, conflicts_with = "devices")]
    workers: Vec<String>,
    /// File with the token of the workers.
    #[arg(long, value_name = "FILE", requires = "workers")]
    token_file: Option<PathBuf>,
    /// Longest time in seconds that a worker may take for an answer, 1 to 86400. A worker with a GPU compiles its kernels in the
    /// first step.
    #[arg(long, value_name = "S", default_value_t = 30, requires = "workers",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    worker_timeout: u64,
    /// Go on with the other devices or workers if one fails, instead of ending with an error.
    #[arg(long)]
    elastic: bool,
}

impl SharingArgs {
    /// Makes these the devices of every training.
    ///
    /// # Errors
    /// Returns an error if the file of the token cannot be read, or if nothing is shared that could go on.
    pub fn choose(&self) -> Result<(), Failure> {
        if self.workers.is_empty() && self.devices.len() < 2 && self.elastic {
            return Err("--elastic is for several --devices, or for --workers".into());
        }
        if let Some(&first) = self.devices.first() {
            let chosen = choose_device(first);
            debug_assert!(chosen, "a command has one device");
        }
        let token = self.token_file.as_deref().map_or(Ok(String::new()), token)?;
        let worker = |url: &String| WorkerAddress { url: url.clone(), token: token.clone() };
        let sharing = Sharing {
            devices: self.devices.clone(),
            workers: self.workers.iter().map(worker).collect(),
            timeout: Duration::from_secs(self.worker_timeout),
            elastic: self.elastic,
        };
        let chosen = share_batches(sharing);
        debug_assert!(chosen, "a command has one set of devices");
        Ok(())
    }
}

/// The token in a file: its only line that is not empty.
///
/// # Errors
/// Returns an error if the file cannot be read, or does not hold one line.
pub fn token(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(token), None) => Ok(token.to_owned()),
        _ => Err(format!("{name}: a file with a token has one line that is not empty").into()),
    }
}

/// The address of a worker.
fn parse_url(text: &str) -> Result<String, String> {
    let place = text.strip_prefix("ws://").unwrap_or_default();
    let port = place.rsplit_once(':').and_then(|(host, port)| {
        (!host.is_empty() && !port.contains('/')).then(|| port.parse::<u16>().ok()).flatten()
    });
    match port {
        Some(1..) => Ok(text.to_owned()),
        _ => Err("must be ws://HOST:PORT".into()),
    }
}
