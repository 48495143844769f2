//! `pudle devices`.

use pudle_core::{Backend, BackendError, DeviceInfo};
use strum::IntoEnumIterator;

use crate::failure::Failure;
use crate::terminal::{say, say_json};

#[derive(clap::Args)]
pub struct Args {
    /// Print the devices as one JSON array.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let backends: Vec<_> = Backend::iter().map(|backend| (backend, backend.list())).collect();
    if args.json {
        let devices: Vec<&DeviceInfo> =
            backends.iter().filter_map(|(_, found)| found.as_ref().ok()).flatten().collect();
        return say_json(&devices);
    }
    for (backend, found) in &backends {
        match found {
            Ok(devices) => devices.iter().for_each(|device| say!("{}", line(device))),
            Err(BackendError::NotCompiled(_)) => say!("{backend:<8} not compiled in"),
            Err(_) => say!("{backend:<8} no device on this machine"),
        }
    }
    Ok(())
}

/// A device in one line.
fn line(device: &DeviceInfo) -> String {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let mut facts: Vec<String> = device.driver.iter().cloned().collect();
    facts.extend(device.memory.map(|bytes| format!("memory {}", mib(bytes))));
    facts.extend(device.largest_buffer.map(|bytes| format!("buffers up to {}", mib(bytes))));
    let bits: Vec<String> = device.bits.iter().map(u32::to_string).collect();
    facts.push(format!("numbers of {} bits", bits.join(", ")));
    let (backend, facts) = (device.backend.to_string(), facts.join("; "));
    format!("{backend:<8} {} {} ({facts})", device.number, device.name)
}
