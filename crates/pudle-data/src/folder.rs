//! Folders of pictures.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::Cache;
use crate::error::{DataError, Result};
use crate::image::{ColorMode, Image};
use crate::picture_files::{PictureFiles, some};
use crate::pictures::Pictures;

/// Decoded pictures in memory by default.
const CAPACITY: usize = 512;

/// The PNG, JPEG, TIFF and WebP files in a folder and all folders below it, as [`PictureFiles`] finds them. They are sorted by
/// path, so that picture `i` is the same on every system.
#[derive(Debug)]
pub struct ImageFolder {
    dir: PathBuf,
    color: ColorMode,
    channels: usize,
    paths: Vec<PathBuf>,
    skipped: usize,
    cache: Cache,
}

impl ImageFolder {
    /// Finds the pictures of `dir` and reads their headers, but not their pixels.
    ///
    /// Files without a valid header are skipped, and those with several pages or frames. A warning counts them and names up to
    /// three.
    ///
    /// # Errors
    /// [`DataError::Io`] if `dir` does not exist, [`DataError::NotAFolder`] if it is not a folder,
    /// [`DataError::NoImages`] if it holds no readable picture.
    pub fn open(dir: &Path, color: ColorMode) -> Result<Self> {
        let PictureFiles { paths, failed, colored } = PictureFiles::find(dir, false)?;
        let skipped = failed.len();
        if skipped > 0 {
            log::warn!("{}: {skipped} unreadable skipped: {}", dir.display(), some(&failed));
        }
        if paths.is_empty() {
            return Err(DataError::NoImages { dir: dir.to_owned(), skipped });
        }
        let channels = match color {
            ColorMode::Gray => 1,
            ColorMode::Rgb => 3,
            ColorMode::AsIs => 1 + 2 * usize::from(colored),
        };
        let cache = Cache::new(CAPACITY);
        Ok(Self { dir: dir.to_owned(), color, channels, paths, skipped, cache })
    }

    /// Holds at most `pictures` decoded pictures in memory instead of 512, and never more than
    /// 256 MiB. The first pictures that fit stay in memory; the others are decoded every time.
    pub fn with_capacity(mut self, pictures: usize) -> Self {
        self.cache = Cache::new(pictures);
        self
    }

    /// Number of pictures, at least one.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Always false: a folder without pictures cannot be opened.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The files, in order.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Number of entries that were skipped as unreadable.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Picture `i`, of `0..len()`.
    ///
    /// # Errors
    /// Returns an error if `i` is out of range or the file cannot be read or decoded.
    pub fn get(&self, i: usize) -> Result<Arc<Image>> {
        let Some(path) = self.paths.get(i) else {
            return Err(DataError::range("picture", i, format!("below {}", self.len())));
        };
        self.cache.get(i, || Image::read(path, self.color))
    }
}

impl Pictures for ImageFolder {
    fn len(&self) -> usize {
        self.len()
    }

    fn picture(&self, i: usize) -> Result<Arc<Image>> {
        self.get(i)
    }

    /// 1 or 3; for [`ColorMode::AsIs`] 3 if any file is in colour.
    fn channels(&self) -> usize {
        self.channels
    }

    fn describe(&self) -> String {
        let kind = match self.color {
            ColorMode::Gray => "grey",
            ColorMode::Rgb => "RGB",
            ColorMode::AsIs => "as they are",
        };
        format!("{} pictures of {} ({kind})", self.len(), self.dir.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(value: f32) -> Image {
        Image::from_fn(1, 4, 4, |_, _, _| value)
    }

    #[test]
    fn nested_files_are_found_in_order_and_unreadable_ones_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("b/deep")).unwrap();
        gray(0.2).write(&root.join("b/deep/x.PNG")).unwrap();
        gray(0.4).write(&root.join("c.png")).unwrap();
        gray(0.0).write(&root.join("a.JPeG")).unwrap();
        std::fs::write(root.join("notes.txt"), "not for us").unwrap();
        for i in 0..4 {
            std::fs::write(root.join(format!("text{i}.png")), "no picture").unwrap();
        }
        std::fs::create_dir(root.join("folder.png")).unwrap();

        let folder = ImageFolder::open(root, ColorMode::Gray).unwrap();
        let names: Vec<_> =
            folder.paths().iter().map(|p| p.strip_prefix(root).unwrap().to_owned()).collect();
        assert_eq!(names, ["a.JPeG", "b/deep/x.PNG", "c.png"].map(PathBuf::from));
        assert_eq!((folder.len(), folder.skipped()), (3, 4));
        assert_eq!(folder.get(2).unwrap().data[0], 102.0 / 255.0);
        assert!(folder.get(3).is_err());
    }

    #[test]
    fn results_of_runs_are_not_data() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("runs/a");
        std::fs::create_dir_all(&run).unwrap();
        for path in [run.join("atoms.png"), dir.path().join("photo.png")] {
            gray(0.5).write(&path).unwrap();
        }
        let count = || ImageFolder::open(dir.path(), ColorMode::Gray).unwrap().len();
        std::fs::write(run.join("config.toml"), "").unwrap();
        assert_eq!(count(), 2);
        std::fs::write(run.join("metrics.csv"), "").unwrap();
        assert_eq!(count(), 1);
        assert!(ImageFolder::open(&run, ColorMode::Gray).is_err());
    }

    #[test]
    fn only_what_fits_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..3 {
            gray(0.0).write(&dir.path().join(format!("{i}.png"))).unwrap();
        }
        let folder = ImageFolder::open(dir.path(), ColorMode::Gray).unwrap().with_capacity(2);
        for i in 0..3 {
            folder.get(i).unwrap();
            std::fs::remove_file(&folder.paths()[i]).unwrap();
        }
        assert!(folder.get(0).is_ok() && folder.get(1).is_ok());
        assert!(matches!(folder.get(2), Err(DataError::Io { .. })));
    }

    #[test]
    fn channels_follow_the_mode() {
        let dir = tempfile::tempdir().unwrap();
        gray(0.5).write(&dir.path().join("a.png")).unwrap();
        let channels = |mode| {
            let folder = ImageFolder::open(dir.path(), mode).unwrap();
            (Pictures::channels(&folder), folder.get(0).unwrap().channels)
        };
        assert_eq!(channels(ColorMode::Gray), (1, 1));
        assert_eq!(channels(ColorMode::Rgb), (3, 3));
        assert_eq!(channels(ColorMode::AsIs), (1, 1));
        Image::from_fn(3, 2, 2, |_, _, _| 0.0).write(&dir.path().join("b.png")).unwrap();
        assert_eq!(channels(ColorMode::AsIs), (3, 1));
    }

    #[test]
    fn useless_folders_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let open = |path: &Path| ImageFolder::open(path, ColorMode::Gray).unwrap_err();
        assert!(matches!(open(dir.path()), DataError::NoImages { skipped: 0, .. }));
        let file = dir.path().join("text.jpg");
        std::fs::write(&file, "no picture").unwrap();
        assert!(matches!(open(dir.path()), DataError::NoImages { skipped: 1, .. }));
        assert!(matches!(open(&file), DataError::NotAFolder { .. }));
        assert!(matches!(open(&dir.path().join("none")), DataError::Io { .. }));
    }
}
