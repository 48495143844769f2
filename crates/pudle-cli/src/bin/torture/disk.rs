//! A disk that fills, and a folder that becomes read-only, in the middle of a training.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::RngExt;

use crate::{Failure, Torture, ended_within};

/// A file system that holds a run and its checkpoints.
const SIZE: &str = "size=16m";

/// The user that may write where its permissions say so only: nobody.
const NOBODY: u32 = 65534;

/// A training that has failed must have ended within this time.
const LONGEST: Duration = Duration::from_secs(120);

/// Fills the disk of `count` trainings at random moments. Each of them must end with an error, and go on to identical
/// weights when there is space again.
pub fn full(
    torture: &mut Torture,
    dir: &Path,
    count: usize,
    time: Duration,
) -> Result<String, Failure> {
    if count == 0 {
        return Ok("no disk was filled".into());
    }
    let Some(disk) = SmallDisk::mount(&dir.join("small-disk"))? else {
        return Ok("no disk was filled: a small file system cannot be mounted here".into());
    };
    let (run, ballast) = (disk.0.join("run"), disk.0.join("ballast"));
    let trouble = Trouble {
        start: &|torture| torture.start(&run),
        begin: &|| fill(&ballast),
        end: &|| Ok(fs::remove_file(&ballast)?),
    };
    let failed = trouble.befall(torture, &run, count, time)?;
    Ok(format!("{count} full disks: {failed} trainings failed, all went on to identical weights"))
}

/// Makes the folder of `count` trainings read-only at random moments, which must do the same.
pub fn read_only(
    torture: &mut Torture,
    dir: &Path,
    count: usize,
    time: Duration,
) -> Result<String, Failure> {
    if count == 0 {
        return Ok("no folder was made read-only".into());
    }
    // Root may write anywhere, so the trainings are those of another user.
    let root = fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    let (place, pudle) = (dir.join("read-only"), dir.join("pudle"));
    fs::create_dir_all(&place)?;
    let own = std::mem::replace(&mut torture.pudle, pudle.clone());
    fs::copy(&own, &pudle)?;
    fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    if root {
        chown(&place, Some(NOBODY), Some(NOBODY))?;
    }
    let run = place.join("run");
    let start = |torture: &Torture| -> Result<Child, Failure> {
        let mut command = torture.start_command(&run);
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
        Ok(command.spawn()?)
    };
    let trouble = Trouble {
        start: &start,
        begin: &|| set_mode(&place, 0o555),
        end: &|| set_mode(&place, 0o755),
    };
    let failed = trouble.befall(torture, &run, count, time)?;
    torture.pudle = own;
    Ok(format!(
        "{count} read-only folders: {failed} trainings failed, all went on to identical weights"
    ))
}

/// What befalls a training.
struct Trouble<'a> {
    /// Starts the training, or lets it go on.
    start: &'a dyn Fn(&Torture) -> Result<Child, Failure>,
    begin: &'a dyn Fn() -> Result<(), Failure>,
    end: &'a dyn Fn() -> Result<(), Failure>,
}

impl Trouble<'_> {
    /// Begins at a random moment of each of `count` trainings, and ends when that has ended. Each must go on to identical weights
    /// then. Returns how many trainings ended with an error.
    fn befall(
        &self,
        torture: &mut Torture,
        run: &Path,
        count: usize,
        time: Duration,
    ) -> Result<usize, Failure> {
        let mut failed = 0;
        for _ in 0..count {
            let mut child = (self.start)(torture)?;
            let moment = time.mul_f64(torture.random.random_range(0.0..0.9));
            ended_within(&mut child, moment)?;
            (self.begin)()?;
            failed += usize::from(!ended_well(&mut child, run)?);
            (self.end)()?;
            if !ended_well(&mut (self.start)(torture)?, run)? {
                return Err(format!("{}: does not go on after the trouble", run.display()).into());
            }
            torture.compare(run)?;
            fs::remove_dir_all(run)?;
        }
        Ok(failed)
    }
}

/// Whether a training ends with success. It must end by itself, and with 0 or 1.
fn ended_well(child: &mut Child, run: &Path) -> Result<bool, Failure> {
    if !ended_within(child, LONGEST)? {
        child.kill()?;
        return Err(format!("{}: the training hangs", run.display()).into());
    }
    match child.wait()?.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        code => Err(format!("{}: the training ended with {code:?}", run.display()).into()),
    }
}

/// Writes zeros until there is no space left.
fn fill(path: &Path) -> Result<(), Failure> {
    let mut file = File::create(path)?;
    for size in [1 << 16, 1 << 10, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    Ok(())
}

/// Sets the permissions of a folder and the folders below it.
fn set_mode(folder: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(folder, Permissions::from_mode(mode))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            set_mode(&path, mode)?;
        }
    }
    Ok(())
}

/// A mounted file system of a few MiB in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` if it cannot be mounted.
    fn mount(place: &Path) -> Result<Option<Self>, Failure> {
        fs::create_dir_all(place)?;
        let arguments = ["-t", "tmpfs", "-o", SIZE, "pudle-torture"];
        let mounted = Command::new("mount")
            .args(arguments)
            .arg(place)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        Ok(mounted.is_ok_and(|status| status.success()).then(|| Self(place.to_path_buf())))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
