//! Picture files with changed bytes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::pictures::Cost;
use crate::{Failure, print};

/// Files that one command denoises.
const AT_ONCE: usize = 250;

/// A command over so many small pictures must have ended within this time.
const LONGEST: Duration = Duration::from_secs(900);

/// Bytes of a file that are changed more often than the others.
const HEADER: usize = 200;

/// Denoises `count` files, each one of those below `files` with bytes changed. Each must give a picture or a line that names it.
pub fn denoise(
    pudle: &Path,
    dir: &Path,
    files: &Path,
    count: usize,
    seed: u64,
) -> Result<String, Failure> {
    let sources = below(files)?;
    if sources.is_empty() {
        return Err(format!("{}: holds no picture", files.display()).into());
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut denoised, mut peak, mut longest) = (0, 0.0f64, Duration::ZERO);
    for first in (0..count).step_by(AT_ONCE) {
        let (changed, out) = (dir.join("changed"), dir.join("changed-out"));
        fs::create_dir_all(&changed)?;
        let mut names = Vec::new();
        for k in first..count.min(first + AT_ONCE) {
            let source = &sources[random.random_range(0..sources.len())];
            let extension = source.extension().unwrap_or_default().to_string_lossy();
            let name = format!("{k:06}.{extension}");
            fs::write(changed.join(&name), change(fs::read(source)?, &mut random))?;
            names.push(name);
        }
        let said = dir.join("changed-said");
        let mut command = Command::new(pudle);
        command
            .args(["denoise", "--sigma", "10", "--shifts", "1"])
            .arg(&changed)
            .arg("-o")
            .arg(&out);
        if first / AT_ONCE % 2 == 1 {
            command.args(["--page", "1"]);
        }
        let child = command.stdout(Stdio::null()).stderr(File::create(&said)?).spawn()?;
        let (status, cost) = Cost::of(child, LONGEST)?;
        let said = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
        let unsaid = names.iter().find(|name| !out.join(name).exists() && !said.contains(*name));
        let panicked = said.contains("panicked");
        if let (false, Some(0 | 1), None) = (panicked, status.code(), unsaid) {
            denoised += names.iter().filter(|name| out.join(name).exists()).count();
        } else {
            let kept = std::env::temp_dir().join("pudle-torture-changed");
            let _ = fs::rename(&changed, &kept);
            return Err(format!(
                "files {first} and after ended with {status}, panic: {panicked}, without a word about {unsaid:?}; they \
                 are in {} if they could be moved there",
                kept.display()
            )
            .into());
        }
        (peak, longest) = (peak.max(cost.peak), longest.max(cost.time));
        print(&format!("{} of {count} changed files", first + names.len()));
        fs::remove_dir_all(changed)?;
        let _ = fs::remove_dir_all(out);
    }
    Ok(format!(
        "{count} files with changed bytes, seed {seed}: {denoised} denoised, the others refused; at most {peak:.0} MiB, and {:.1} s for \
         {AT_ONCE} files",
        longest.as_secs_f64()
    ))
}

/// Changes some bytes, and cuts one file of five.
fn change(mut bytes: Vec<u8>, random: &mut impl Rng) -> Vec<u8> {
    for _ in 0..random.random_range(1..8) {
        let end = if random.random_bool(0.5) { HEADER.min(bytes.len()) } else { bytes.len() };
        if end > 0 {
            let at = random.random_range(0..end);
            bytes[at] = random.random();
        }
    }
    if !bytes.is_empty() && random.random_bool(0.2) {
        bytes.truncate(random.random_range(0..bytes.len()));
    }
    bytes
}

/// Extensions of the files that `denoise` looks for in a folder.
const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "webp"];

/// All picture files below a folder, sorted.
fn below(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(below(&path)?),
            false => {
                let known = |e: &std::ffi::OsStr| EXTENSIONS.iter().any(|known| e == *known);
                if path.is_file() && path.extension().is_some_and(known) {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    Ok(found)
}
