//! Memory and open files of a long training.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Failure, print};

/// Seconds between two samples.
const EVERY: f64 = 10.0;

/// A training that grows by more than this factor, from the second quarter to the last one, leaks.
const MOST_GROWTH: f64 = 1.05;

/// Memory in MiB and the number of open files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub memory: f64,
    pub files: usize,
}

impl Sample {
    /// That of a process. Only Linux tells it.
    pub fn of(child: &Child) -> Result<Self, Failure> {
        let folder = format!("/proc/{}", child.id());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let memory = field(&status, "VmRSS:").ok_or("no memory in /proc")?;
        Ok(Self { memory, files: fs::read_dir(format!("{folder}/fd"))?.count() })
    }
}

/// A size of `/proc/PID/status` in MiB.
pub fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Trains the denoiser of the preset on drawn pictures, watches it for some minutes, and ends it.
pub fn training(pudle: &Path, dir: &Path, minutes: f64) -> Result<String, Failure> {
    let run = dir.join("watched");
    let mut child = Command::new(pudle)
        .args(["train", "--preset", "denoise", "--steps", "100000000", "--out"])
        .arg(&run)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let samples = sample(&mut child, Duration::from_secs_f64(60.0 * minutes));
    child.kill()?;
    child.wait()?;
    let steps = steps(&run)?;
    fs::remove_dir_all(&run)?;
    report(&samples?, steps)
}

fn sample(child: &mut Child, time: Duration) -> Result<Vec<Sample>, Failure> {
    let started = Instant::now();
    let mut samples = Vec::new();
    while started.elapsed() < time {
        std::thread::sleep(Duration::from_secs_f64(EVERY));
        if let Some(status) = child.try_wait()? {
            return Err(format!("the training ended with {status}").into());
        }
        samples.push(Sample::of(child)?);
        if samples.len() % 30 == 1 {
            let minute = started.elapsed().as_secs_f64() / 60.0;
            let Sample { memory, files } = samples[samples.len() - 1];
            print(&format!("minute {minute:.0}: {memory:.1} MiB, {files} open files"));
        }
    }
    Ok(samples)
}

/// Steps in the file of metrics.
fn steps(run: &Path) -> Result<usize, Failure> {
    Ok(fs::read_to_string(run.join("metrics.csv"))?.lines().filter(|l| l.contains("train")).count())
}

/// Compares the second quarter with the last one. In the first, a training comes to its size: with the first validation and the
/// first checkpoint.
fn report(samples: &[Sample], steps: usize) -> Result<String, Failure> {
    let quarter = samples.len() / 4;
    if quarter < 2 {
        return Err("too short a time for a comparison".into());
    }
    let (first, last) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let memory = |part: &[Sample]| part.iter().map(|s| s.memory).fold(0.0, f64::max);
    let files = |part: &[Sample]| part.iter().map(|s| s.files).max().unwrap_or(0);
    let line = format!(
        "{steps} steps, {} samples: at most {:.1} MiB and {} open files in the second quarter, {:.1} MiB and {} in the last",
        samples.len(),
        memory(first),
        files(first),
        memory(last),
        files(last)
    );
    match memory(last) <= MOST_GROWTH * memory(first) && files(last) <= files(first) {
        true => Ok(line),
        false => Err(format!("the training grows: {line}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_an_error() {
        assert_eq!(field("VmPeak: 9 kB\nVmRSS:\t  2048 kB\n", "VmRSS:"), Some(2.0));
        let flat = vec![Sample { memory: 100.0, files: 9 }; 40];
        assert!(report(&flat, 5).unwrap().contains("100.0 MiB and 9 open files"));
        let grown = |memory: f64, files| {
            let mut samples = flat.clone();
            samples[39] = Sample { memory, files };
            report(&samples, 5).is_err()
        };
        assert!(grown(120.0, 9) && grown(100.0, 10) && !grown(101.0, 8));
        assert!(report(&flat[..7], 5).is_err());
    }
}
