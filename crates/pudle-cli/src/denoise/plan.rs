//! Input and output files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use pudle_data::{DataError, Photo, PictureFiles, check_writable};

use crate::failure::Failure;

/// Suffix of an output file in the folder of its input file.
const SUFFIX: &str = "-denoised";

/// The input and output file of one picture.
#[derive(Debug, PartialEq)]
pub struct Plan {
    pub input: PathBuf,
    pub output: PathBuf,
}

/// What there is to do.
#[derive(Debug, Default, PartialEq)]
pub struct Plans {
    pub pictures: Vec<Plan>,
    /// Why files of folders that should be pictures cannot be read.
    pub failed: Vec<String>,
}

/// What is done about output files that exist.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Existing {
    Refuse,
    Replace,
    /// Their pictures are left out.
    Skip,
}

/// Lists the pictures among files and folders, with an output file for each. Without `output`, it is in the folder
/// of the picture. For a single picture, `output` is the file. For several pictures, `output` is a folder, in which
/// pictures keep their subfolders.
///
/// Output files of an earlier run in a folder are skipped. Files of a folder that cannot be read do not keep the others from
/// being planned.
///
/// # Errors
/// Returns an error if a path cannot be read or written, if a folder holds no picture, if two pictures have the same output file, or if an output file
/// exists and that is refused.
pub fn plan(
    paths: &[PathBuf],
    output: Option<&Path>,
    existing: Existing,
) -> Result<Plans, Failure> {
    let Found { pictures, failed, folders } = find(paths, output)?;
    let into_folder =
        output.filter(|out| folders || pictures.len() != 1 || out.is_dir() || names_folder(out));
    if let Some(folder) = into_folder.filter(|folder| folder.exists() && !folder.is_dir()) {
        let count = pictures.len();
        return Err(
            format!("{}: not a folder, but {count} pictures need one", folder.display()).into()
        );
    }
    if let Some(folder) = into_folder {
        check_folder(folder)?;
    }
    let mut plans = Vec::new();
    let mut checked = HashSet::new();
    let mut sources: HashMap<PathBuf, PathBuf> = HashMap::new();
    for (input, place) in pictures {
        let output = match (into_folder, output) {
            (Some(folder), _) => folder.join(place),
            (None, Some(file)) => file.to_path_buf(),
            (None, None) => beside(&input),
        };
        if let Some(other) = sources.insert(output.clone(), input.clone()) {
            let (other, input) = (other.display(), input.display());
            return Err(format!(
                "{}: both {other} and {input} would be written to this file",
                output.display()
            )
            .into());
        }
        if existing == Existing::Skip && is_taken(&output) {
            continue;
        }
        check_name(&output)?;
        let folder = output.parent().unwrap_or(Path::new(""));
        if checked.insert(folder.to_path_buf()) {
            check_folder(folder)?;
        }
        plans.push(Plan { input, output });
    }
    match existing {
        Existing::Refuse => refuse_taken(&plans)?,
        Existing::Replace | Existing::Skip => {}
    }
    Ok(Plans { pictures: plans, failed })
}

/// The pictures among files and folders.
struct Found {
    /// Each picture, with its path in an output folder.
    pictures: Vec<(PathBuf, PathBuf)>,
    /// Messages about files that cannot be read.
    failed: Vec<String>,
    /// Whether any of the paths is a folder.
    folders: bool,
}

fn find(paths: &[PathBuf], output: Option<&Path>) -> Result<Found, Failure> {
    let mut found = Found { pictures: Vec::new(), failed: Vec::new(), folders: false };
    for path in paths {
        let meta = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if meta.is_dir() {
            found.folders = true;
            find_in_folder(path, output, &mut found)?;
        } else {
            let name = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
            found.pictures.push((path.clone(), name));
        }
    }
    Ok(found)
}

/// Adds the pictures of a folder. Output files of an earlier run are left out, which a line says.
fn find_in_folder(path: &Path, output: Option<&Path>, found: &mut Found) -> Result<(), Failure> {
    let mut files = PictureFiles::find(path, true)?;
    if files.paths.is_empty() && files.failed.is_empty() {
        return Err(DataError::NoImages { dir: path.to_path_buf(), skipped: 0 }.into());
    }
    found.failed.append(&mut files.failed);
    let earlier = |picture: &Path| {
        picture.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(SUFFIX))
    };
    // The output folder may lie in the input folder.
    let below = |picture: &Path| output.is_some_and(|out| out != path && picture.starts_with(out));
    let (left_out, pictures): (Vec<PathBuf>, Vec<_>) =
        files.paths.into_iter().partition(|picture| earlier(picture) || below(picture));
    if !left_out.is_empty() {
        let count = left_out.len();
        log::warn!("{}: skipped {count} output files of an earlier run", path.display());
    }
    for picture in pictures {
        let place = picture.strip_prefix(path).unwrap_or(&picture).to_path_buf();
        found.pictures.push((picture, place));
    }
    Ok(())
}

/// Returns an error that names the first output file that exists, if any does.
fn refuse_taken(plans: &[Plan]) -> Result<(), Failure> {
    let taken: Vec<_> = plans.iter().filter(|plan| is_taken(&plan.output)).collect();
    let Some(first) = taken.first() else { return Ok(()) };
    let others = match taken.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Err(format!("{}: exists{others}; replace with --force", first.output.display()).into())
}

/// Whether writing to `path` would replace a file. Pipes and terminals are not replaced.
pub fn is_taken(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() || meta.is_symlink())
}

/// Whether a path ends with a separator, as `new/` does.
fn names_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|&b| std::path::is_separator(b.into()))
}

/// Returns an error if no picture can be written to a path, in a folder that may not exist yet.
pub fn check_file(path: &Path) -> Result<(), Failure> {
    check_name(path)?;
    check_folder(path.parent().unwrap_or(Path::new("")))
}

/// Returns an error if a path is not one for a picture.
fn check_name(path: &Path) -> Result<(), Failure> {
    Photo::check_path(Path::new(path.file_name().unwrap_or_default()))?;
    if path.is_dir() {
        return Err(format!("{}: is a folder, not a file to write", path.display()).into());
    }
    Ok(())
}

/// Returns an error if a folder cannot be written, or does not exist and cannot be created.
fn check_folder(folder: &Path) -> Result<(), Failure> {
    let here = |path: &Path| path.as_os_str().is_empty() || path.exists();
    let existing = folder.ancestors().find(|path| here(path)).unwrap_or(Path::new(""));
    if !existing.as_os_str().is_empty() && !existing.is_dir() {
        return Err(format!("{}: not a folder", existing.display()).into());
    }
    check_writable(&existing.join("picture")).map_err(|error| {
        let name = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
        format!("{}: cannot be written: {error}", name.display()).into()
    })
}

/// Whether two paths lead to the same file, which need not exist.
pub fn same_file(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        fs::canonicalize(path).ok().or_else(|| {
            let above = match path.parent() {
                Some(above) if !above.as_os_str().is_empty() => above,
                _ => Path::new("."),
            };
            Some(fs::canonicalize(above).ok()?.join(path.file_name()?))
        })
    };
    one == other || place(one).is_some_and(|found| Some(found) == place(other))
}

/// The default output file of a picture.
fn beside(input: &Path) -> PathBuf {
    // Names need not be UTF-8.
    let mut name = input.file_stem().unwrap_or_default().to_os_string();
    name.push(SUFFIX);
    name.push(".");
    name.push(input.extension().unwrap_or("png".as_ref()));
    input.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pudle_data::Image;

    #[test]
    fn one_file_has_many_paths() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let around = dir.path().join(".").join("a.png");
        assert!(same_file(&path, &around) && !same_file(&path, &dir.path().join("b.png")));
        write(&path);
        assert!(same_file(&path, &around));
    }

    #[cfg(unix)]
    #[test]
    fn names_keep_bytes_that_are_not_utf8() {
        use std::os::unix::ffi::OsStrExt;
        let name = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        assert_eq!(beside(&name(b"caf\xe9.png")), name(b"caf\xe9-denoised.png"));
    }

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Image::from_fn(1, 2, 2, |_, _, _| 0.5).write(path).unwrap();
    }

    #[test]
    fn files_and_folders_go_where_they_should() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["a.png", "in/b.jpg", "in/deep/c.tif", "in/b-denoised.jpg"] {
            write(&root.join(name));
        }
        fs::create_dir(root.join("out")).unwrap();
        let plan = |paths: &[&str], output: Option<&str>, force| {
            let existing = if force { Existing::Replace } else { Existing::Refuse };
            let paths: Vec<_> = paths.iter().map(|path| root.join(path)).collect();
            let output = output.map(|out| root.join(out));
            plan(&paths, output.as_deref(), existing).map(|plans| {
                let relative = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
                plans.pictures.iter().map(|p| relative(&p.output)).collect::<Vec<_>>()
            })
        };
        assert_eq!(plan(&["a.png"], None, false).unwrap(), ["a-denoised.png"]);
        assert_eq!(plan(&["a.png"], Some("x.webp"), false).unwrap(), ["x.webp"]);
        assert_eq!(plan(&["a.png"], Some("out"), false).unwrap(), ["out/a.png"]);
        assert_eq!(
            plan(&["in", "a.png"], Some("new"), false).unwrap(),
            ["new/b.jpg", "new/deep/c.tif", "new/a.png"]
        );
        let error = plan(&["in"], None, false).unwrap_err().to_string();
        assert!(error.contains("b-denoised.jpg") && error.contains("--force"), "{error}");
        assert_eq!(
            plan(&["in"], None, true).unwrap(),
            ["in/b-denoised.jpg", "in/deep/c-denoised.tif"]
        );
        let error = plan(&["in"], Some("in"), false).unwrap_err().to_string();
        assert!(error.contains("b.jpg") && error.contains("1 more"), "{error}");
        let error = plan(&["a.png", "a.png"], Some("out"), true).unwrap_err().to_string();
        assert!(error.contains("both"), "{error}");
        assert_eq!(plan(&["a.png"], Some("fresh/"), false).unwrap(), ["fresh/a.png"]);
        assert_eq!(plan(&["in"], Some("x/y"), false).unwrap(), ["x/y/b.jpg", "x/y/deep/c.tif"]);
        assert!(plan(&["in"], Some("a.png/y"), false).is_err());
        assert!(plan(&["missing"], None, true).unwrap_err().to_string().contains("missing"));
    }
    #[test]
    fn a_second_run_goes_on_with_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["in/a.png", "in/b.png", "out/a.png"] {
            write(&at(name));
        }
        let plans = plan(&[at("in")], Some(&at("out")), Existing::Skip).unwrap();
        let outputs: Vec<_> = plans.pictures.into_iter().map(|plan| plan.output).collect();
        assert_eq!(outputs, [at("out/b.png")]);
        write(&at("out/b.png"));
        assert_eq!(plan(&[at("in")], Some(&at("out")), Existing::Skip).unwrap(), Plans::default());
    }

    #[test]
    fn a_folder_in_the_place_of_an_output_is_found_before_the_work() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(&at("in/a.png"));
        fs::create_dir_all(at("out/a.png")).unwrap();
        for existing in [Existing::Refuse, Existing::Replace, Existing::Skip] {
            let error = plan(&[at("in")], Some(&at("out")), existing).unwrap_err().to_string();
            assert!(error.contains("is a folder"), "{error}");
        }
    }
}
