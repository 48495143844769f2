//! Kills trainings at random moments, and checks that nothing is lost.
//!
//! Each round trains a small model, kills the process again and again (SIGKILL), resumes it until it ends, and compares the
//! weights and the metrics with those of an uninterrupted run, byte for byte. Other rounds start two trainings at once in one
//! directory: one of them must be refused. With `--full` and `--read-only`, the disk fills or the folder becomes read-only in
//! the middle of a training. `--watch` samples memory and open files of a long training, and `--pictures` trains on and
//! denoises a folder of many pictures. `--changed` denoises files of a folder with bytes changed.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --bin torture -- --kills 200 --pairs 30 --seed 0
//! cargo run --release --bin torture -- --kills 0 --pairs 0 --full 10 --read-only 10
//! cargo run --release --bin torture -- --kills 0 --pairs 0 --watch 60
//! cargo run --release --bin torture -- --kills 0 --pairs 0 --pictures 100000
//! cargo run --release --bin torture -- --kills 0 --pairs 0 --changed 5000 --files pictures/
//! ```

mod changed;
#[cfg(unix)]
mod disk;
mod pictures;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Kill trainings at random moments, and check that they end at the same weights as an uninterrupted one.
#[derive(Parser)]
struct Args {
    /// Number of kills.
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Number of pairs of trainings that are started together in one directory.
    #[arg(long, default_value_t = 30)]
    pairs: usize,
    /// Number of trainings whose disk fills. They need a small file system in memory, which only root can mount.
    #[arg(long, default_value_t = 0)]
    full: usize,
    /// Number of trainings whose folder becomes read-only. As root, they run as the user nobody.
    #[arg(long, default_value_t = 0)]
    read_only: usize,
    /// Minutes for which memory and open files of a training are watched.
    #[arg(long, default_value_t = 0.0)]
    watch: f64,
    /// Number of small pictures in a folder that is trained on and denoised.
    #[arg(long, default_value_t = 0)]
    pictures: usize,
    /// Number of picture files with changed bytes that are denoised.
    #[arg(long, default_value_t = 0, requires = "files")]
    changed: usize,
    /// Folder of the whole files that are changed.
    #[arg(long)]
    files: Option<PathBuf>,
    /// Training steps of each run.
    #[arg(long, default_value_t = 120)]
    steps: u64,
    /// Seed of the moments and of the changes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the runs. The default is a temporary one. A small file system here shows what a full disk does.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// A small model over drawn pictures, with a checkpoint every few steps.
const SETTINGS: &str = r#"
[model]
layers = 3
step = 0.1
prox = "soft"
[model.threshold]
kind = "learned"
lambda = 0.1
[model.dictionary]
kind = "conv2d"
atoms = 16
channels = 1
size = 7
stride = 3
[data]
kind = "dead-leaves"
crop = 67
sigma = 25.0
side = 80
count = 20
flips = true
[training]
batch = 4
checkpoint_every = 7
valid_every = 20
"#;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(report) => {
            print(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            print(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn print(line: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n").as_bytes());
}

fn run(args: &Args) -> Result<String, Failure> {
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(dir)?;
    if args.kills + args.pairs + args.full + args.read_only > 0 {
        print(&rounds(args, dir)?);
    }
    if args.watch > 0.0 {
        print(&watch::training(&pudle()?, dir, args.watch)?);
    }
    if args.pictures > 0 {
        print(&pictures::folder(&pudle()?, dir, args.pictures)?);
    }
    if let Some(files) = args.files.as_ref().filter(|_| args.changed > 0) {
        print(&changed::denoise(&pudle()?, dir, files, args.changed, args.seed)?);
    }
    Ok("all as expected".into())
}

/// The rounds whose runs are compared with an uninterrupted one.
fn rounds(args: &Args, dir: &Path) -> Result<String, Failure> {
    let settings = dir.join("settings.toml");
    fs::write(&settings, format!("seed = {}\n{SETTINGS}steps = {}\n", args.seed, args.steps))?;
    let mut torture = Torture {
        pudle: pudle()?,
        settings,
        whole: dir.join("whole"),
        random: ChaCha8Rng::seed_from_u64(args.seed),
    };
    let started = Instant::now();
    let status = torture.start(&torture.whole)?.wait()?;
    if !status.success() {
        return Err(format!("the uninterrupted run ended with {status}").into());
    }
    let time = started.elapsed();
    let (mut killed, mut runs) = (0, 0);
    while killed < args.kills {
        let run = dir.join(format!("killed-{runs}"));
        killed += torture.kill_until_done(&run, time, args.kills - killed)?;
        torture.compare(&run)?;
        fs::remove_dir_all(&run)?;
        runs += 1;
        print(&format!("{killed} of {} kills, {runs} runs at identical weights", args.kills));
    }
    for pair in 0..args.pairs {
        let run = dir.join(format!("pair-{pair}"));
        torture.pair(&run)?;
        torture.compare(&run)?;
        fs::remove_dir_all(&run)?;
    }
    #[cfg(unix)]
    {
        print(&disk::full(&mut torture, dir, args.full, time)?);
        print(&disk::read_only(&mut torture, dir, args.read_only, time)?);
    }
    #[cfg(not(unix))]
    if args.full + args.read_only > 0 {
        return Err("full disks and read-only folders are tried on Unix only".into());
    }
    Ok(format!(
        "seed {}: {killed} kills in {runs} runs, all at identical weights, nothing left over; {} pairs, one of each refused",
        args.seed, args.pairs
    ))
}

/// The program beside this one.
fn pudle() -> Result<PathBuf, Failure> {
    let path =
        std::env::current_exe()?.with_file_name(format!("pudle{}", std::env::consts::EXE_SUFFIX));
    match path.exists() {
        true => Ok(path),
        false => {
            Err(format!("{}: build it first, with cargo build --release", path.display()).into())
        }
    }
}

struct Torture {
    pudle: PathBuf,
    settings: PathBuf,
    /// The uninterrupted run.
    whole: PathBuf,
    random: ChaCha8Rng,
}

impl Torture {
    fn command(&self, arguments: &[&Path]) -> Command {
        let mut command = Command::new(&self.pudle);
        command.arg("train").args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts a new run, or resumes it.
    fn start(&self, run: &Path) -> Result<Child, Failure> {
        Ok(self.start_command(run).spawn()?)
    }

    fn start_command(&self, run: &Path) -> Command {
        let flag = |text: &'static str| Path::new(text);
        let resumed = [flag("--resume"), run];
        let fresh = [flag("--config"), &self.settings, flag("--out"), run];
        let arguments: &[&Path] = if run.join("config.toml").exists() { &resumed } else { &fresh };
        self.command(arguments)
    }

    /// Kills a run at random moments, at most `most` times, and lets it end then. Returns the number of kills.
    fn kill_until_done(
        &mut self,
        run: &Path,
        time: Duration,
        most: usize,
    ) -> Result<usize, Failure> {
        let mut kills = 0;
        loop {
            let said = run.with_extension("log");
            let log = fs::File::create(&said)?;
            let mut child = self.start_command(run).stderr(log).spawn()?;
            // A run that is never left alone for long must still come to its end.
            let moment = time.mul_f64(self.random.random_range(0.0..0.7));
            if kills < most && !ended_within(&mut child, moment)? {
                child.kill()?;
                child.wait()?;
                kills += 1;
                continue;
            }
            let status = child.wait()?;
            if !status.success() {
                let said = fs::read_to_string(&said)?;
                let reason = format!("the resumed run ended with {status}: {}", said.trim());
                return Err(format!("{}: {reason}", run.display()).into());
            }
            return Ok(kills);
        }
    }

    /// Starts two runs at once in a directory. One must be refused.
    fn pair(&mut self, run: &Path) -> Result<(), Failure> {
        let mut first = self.start(run)?;
        std::thread::sleep(Duration::from_millis(self.random.random_range(0..60)));
        let mut second = self.start(run)?;
        let ended = [first.wait()?.code(), second.wait()?.code()];
        match ended {
            [Some(0), Some(1)] | [Some(1), Some(0)] => Ok(()),
            _ => Err(format!("{}: two trainings ended with {ended:?}", run.display()).into()),
        }
    }

    /// Compares a run with the uninterrupted one, and looks for files that do not belong to it.
    fn compare(&self, run: &Path) -> Result<(), Failure> {
        for name in ["model.safetensors", "metrics.csv", "config.toml", "record.toml"] {
            if fs::read(self.whole.join(name))? != fs::read(run.join(name))? {
                return Err(format!(
                    "{}: differs from the uninterrupted run",
                    run.join(name).display()
                )
                .into());
            }
        }
        let (expected, found) = (files(&self.whole)?, files(run)?);
        match expected == found {
            true => Ok(()),
            false => {
                Err(format!("{}: holds {found:?} instead of {expected:?}", run.display()).into())
            }
        }
    }
}

/// Whether a process ends within a time.
fn ended_within(child: &mut Child, time: Duration) -> Result<bool, Failure> {
    let started = Instant::now();
    while started.elapsed() < time {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(false)
}

/// The names of all files of a run, sorted.
fn files(run: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for folder in [run.to_path_buf(), run.join("checkpoint")] {
        for entry in fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
