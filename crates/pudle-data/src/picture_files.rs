//! The picture files of a folder: those that can be read, and those that cannot.

use std::path::{Path, PathBuf};

use crate::error::{DataError, Result};
use crate::photo::files::header;
use crate::photo::write::is_picture;
use crate::walk::{Found, files};

/// Number of files that a warning names.
const NAMED: usize = 3;

/// Extensions of pictures in formats that are not read: of phones, the web, cameras, scanners and laboratories.
const OTHERS: [&str; 41] = [
    "heic", "heif", "hif", "avif", "jxl", "gif", "bmp", "dib", "jp2", "j2k", "jpx", "jpf", "jxr",
    "psd", "psb", "xcf", "exr", "hdr", "tga", "ppm", "pgm", "pbm", "pnm", "pam", "mpo", "dng",
    "cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "srw", "orf", "rw2", "raf", "pef", "fits",
    "dcm", "czi",
];

/// The picture files in a folder and all folders below it, for a caller that reads each of them by itself.
///
/// Files are found by extension (`.png`, `.jpg`, `.jpeg`, `.jpe`, `.jfif`, `.tif`, `.tiff`, `.webp`, in upper or lower case). The content
/// decides on the format. Files are sorted by path. Links are followed. Directories of runs and checkpoints are left out,
/// because the pictures in them are results. A warning names what else is left out: pictures in formats that are not read,
/// by their extension, and links to a folder above them. Other files, such as `README.md`, are passed over without a word.
#[derive(Debug)]
pub struct PictureFiles {
    /// Files with a valid header, sorted.
    pub paths: Vec<PathBuf>,
    /// Why files with the extension of a picture cannot be read, and folders without permission. Each message names its
    /// file. They are sorted.
    pub failed: Vec<String>,
    /// Whether any of the readable pictures is in colour.
    pub colored: bool,
}

impl PictureFiles {
    /// Finds the pictures of `dir` and reads their headers. Files of several pages or frames are among the readable ones if
    /// `any_page` is true.
    ///
    /// # Errors
    /// [`DataError::Io`] if `dir` does not exist, [`DataError::NotAFolder`] if it is not a folder.
    pub fn find(dir: &Path, any_page: bool) -> Result<Self> {
        let meta = std::fs::metadata(dir).map_err(|e| DataError::io(dir, e))?;
        if !meta.is_dir() {
            return Err(DataError::NotAFolder { path: dir.to_owned() });
        }
        let Found { paths: named, unreadable, loops } =
            files(dir, |path| is_picture(path) || is_other(path));
        let mut found = Self { paths: Vec::new(), failed: Vec::new(), colored: false };
        let (mut others, mut notes) = (Vec::new(), Vec::new());
        for path in named {
            if !is_picture(&path) {
                others.push(path.display().to_string());
                continue;
            }
            match header(&path, any_page) {
                Ok(header) => {
                    found.colored |= header.colored;
                    found.paths.push(path);
                }
                // macOS writes such a file beside each file of a disk that has no place for its notes.
                Err(_) if is_note(&path) => notes.push(path.display().to_string()),
                Err(error) => found.failed.push(error.to_string()),
            }
        }
        let mut links = loops;
        for (path, message) in unreadable {
            // A link to nothing that is not named like a picture is none of this function's business.
            match is_picture(&path) || path.is_dir() {
                true => found.failed.push(message),
                false => links.push(message),
            }
        }
        found.failed.sort();
        let say = |what: &str, which: &[String]| {
            if !which.is_empty() {
                log::warn!("{}: {} {what}: {}", dir.display(), which.len(), some(which));
            }
        };
        say(
            "pictures in formats that are not read are left out (convert them to PNG or TIFF)",
            &others,
        );
        say("notes of macOS about other files are left out", &notes);
        say("links are not followed", &links);
        Ok(found)
    }
}

/// The first of some messages.
pub(crate) fn some(messages: &[String]) -> String {
    let more = if messages.len() > NAMED { "; …" } else { "" };
    format!("{}{more}", messages[..messages.len().min(NAMED)].join("; "))
}

/// Whether a file has the extension of a picture in a format that is not read.
fn is_other(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| OTHERS.iter().any(|known| found.eq_ignore_ascii_case(known)))
}

/// Whether a file has the name of notes of macOS.
fn is_note(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"._"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    #[test]
    fn files_that_cannot_be_read_are_told_apart_from_files_that_are_no_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        Image::from_fn(3, 4, 4, |c, _, _| c as f32 / 2.0).write(&at("whole.png")).unwrap();
        for name in ["empty.png", "README.md", "IMG_1.HEIC", "._whole.png", "notes.txt", "page.JPG"]
        {
            std::fs::write(at(name), if name.starts_with('p') { "<html>" } else { "" }).unwrap();
        }
        std::fs::create_dir(at("folder.png")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("nowhere.png", at("link.png")).unwrap();
            std::os::unix::fs::symlink("nowhere", at("other-link")).unwrap();
            std::os::unix::fs::symlink(".", at("loop")).unwrap();
        }
        let found = PictureFiles::find(dir.path(), false).unwrap();
        assert_eq!(found.paths, [at("whole.png")]);
        assert!(found.colored);
        let names: Vec<_> = ["empty.png", "link.png", "page.JPG"]
            .into_iter()
            .filter(|name| cfg!(unix) || *name != "link.png")
            .collect();
        assert_eq!(found.failed.len(), names.len(), "{:?}", found.failed);
        for (message, name) in found.failed.iter().zip(names) {
            assert!(message.starts_with(&at(name).display().to_string()), "{message}");
        }
    }
}
