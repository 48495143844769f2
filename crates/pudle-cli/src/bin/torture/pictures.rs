//! A folder of very many small pictures.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pudle_data::{Photo, add_gaussian, scene};

use crate::Failure;
use crate::watch::field;

/// Different pictures; the others are links to them, as far as a file system allows so many links to a file.
const DIFFERENT: usize = 50;

/// Pictures of a folder below the folder.
const IN_FOLDER: usize = 10_000;

/// Side of a picture in pixels.
const SIDE: usize = 40;

/// Crops of the pictures in the folder.
const SETTINGS: &str = r#"
[data]
kind = "photographs"
dir = "pictures"
crop = 37
sigma = 25.0
flips = true
"#;

/// Trains on a folder of `count` pictures, and denoises it. Says how long that takes, and how much memory.
pub fn folder(pudle: &Path, dir: &Path, count: usize) -> Result<String, Failure> {
    let (pictures, run, out) = (dir.join("pictures"), dir.join("on-pictures"), dir.join("clean"));
    draw(&pictures, count)?;
    let settings = dir.join("pictures.toml");
    fs::write(&settings, SETTINGS)?;
    let train = Command::new(pudle)
        .args(["train", "--preset", "denoise", "--steps", "200", "--config"])
        .arg(&settings)
        .arg("--out")
        .arg(&run)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let trained = Cost::of_success(train)?;
    let denoise = Command::new(pudle)
        .args(["denoise", "--sigma", "10", "--shifts", "1"])
        .arg(&pictures)
        .arg("-o")
        .arg(&out)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let denoised = Cost::of_success(denoise)?;
    let written = walk(&out)?;
    if written != count {
        return Err(format!("{written} of {count} pictures were denoised").into());
    }
    for folder in [pictures, run, out] {
        fs::remove_dir_all(folder)?;
    }
    Ok(format!("{count} pictures: 200 steps of training {trained}, denoising them {denoised}"))
}

fn draw(folder: &Path, count: usize) -> Result<(), Failure> {
    let first = |k: usize| folder.join("0").join(format!("{k:07}.png"));
    for k in 0..count {
        let place = folder.join((k / IN_FOLDER).to_string());
        if k % IN_FOLDER == 0 {
            fs::create_dir_all(&place)?;
        }
        let path = place.join(format!("{k:07}.png"));
        if k < DIFFERENT {
            let clean = scene(SIDE, SIDE, k as u64).to_gray();
            Photo::from_image(&add_gaussian(&clean, 10.0, k as u64))?.write(&path)?;
        } else if fs::hard_link(first(k % DIFFERENT), &path).is_err() {
            fs::copy(first(k % DIFFERENT), &path)?;
        }
    }
    Ok(())
}

fn walk(folder: &Path) -> Result<usize, Failure> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        count += if path.is_dir() { walk(&path)? } else { 1 };
    }
    Ok(count)
}

/// Time and memory of a process.
pub struct Cost {
    pub time: Duration,
    /// The largest sample, in MiB.
    pub peak: f64,
}

impl Cost {
    /// The status and the cost of a process when it ends. It is killed, which is an error, if it takes longer than `longest`.
    pub fn of(mut child: Child, longest: Duration) -> Result<(ExitStatus, Self), Failure> {
        let started = Instant::now();
        let mut peak: f64 = 0.0;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok((status, Self { time: started.elapsed(), peak }));
            }
            if started.elapsed() > longest {
                child.kill()?;
                return Err(format!("a command takes longer than {longest:?}").into());
            }
            let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
            peak = peak.max(status.ok().and_then(|text| field(&text, "VmHWM:")).unwrap_or(0.0));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The cost of a command that must succeed.
    fn of_success(child: Child) -> Result<Self, Failure> {
        let (status, cost) = Self::of(child, Duration::MAX)?;
        match status.success() {
            true => Ok(cost),
            false => Err(format!("a command over the pictures ended with {status}").into()),
        }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} s and {:.0} MiB", self.time.as_secs_f64(), self.peak)
    }
}
