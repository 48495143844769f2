//! Patches of pictures as vectors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::rows::Rows;
use crate::error::{DataError, Result};
use crate::folder::ImageFolder;
use crate::image::ColorMode;
use crate::photo::files::header;

/// All patches of the pictures in a folder, in grey and with values in \[0, 1\], each less its own mean. A patch is a vector,
/// row by row. Patches overlap: every position in a picture has one.
#[derive(Debug)]
pub(super) struct Patches {
    folder: ImageFolder,
    height: usize,
    width: usize,
    /// Number of the first patch of every picture, and their number.
    starts: Vec<usize>,
    /// Positions along the width of every picture.
    across: Vec<usize>,
}

impl Patches {
    /// Finds the pictures of a folder and reads their sizes. Pictures that are smaller than a patch are left out.
    pub fn open(dir: &Path, [height, width]: [usize; 2]) -> Result<Self> {
        let folder = ImageFolder::open(dir, ColorMode::Gray)?;
        let (mut starts, mut across) = (vec![0], Vec::new());
        let mut small = 0;
        for path in folder.paths() {
            let [rows, columns] = header(path, false)?.sides;
            let down = (rows + 1).saturating_sub(height);
            let along = (columns + 1).saturating_sub(width);
            small += usize::from(down * along == 0);
            starts.push(starts[starts.len() - 1] + down * along);
            across.push(along);
        }
        let name = dir.display();
        if starts.last() == Some(&0) {
            let reason = format!("every picture is smaller than a patch of {height}×{width}");
            return Err(DataError::format(dir, reason));
        }
        if small > 0 {
            log::warn!("{name}: {small} pictures are smaller than a patch and have none");
        }
        Ok(Self { folder, height, width, starts, across })
    }

    /// The files of the pictures.
    pub fn paths(&self) -> &[PathBuf] {
        self.folder.paths()
    }

    /// The picture of a patch, and the patch's number in it.
    fn place(&self, row: usize) -> (usize, usize) {
        let picture = self.starts.partition_point(|start| *start <= row) - 1;
        (picture, row - self.starts[picture])
    }
}

impl Rows for Patches {
    fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    fn width(&self) -> usize {
        self.height * self.width
    }

    fn read(&self, first: usize, out: &mut [f32]) -> Result<()> {
        let mut last = None;
        for (k, patch) in out.chunks_exact_mut(self.height * self.width).enumerate() {
            let (picture, place) = self.place(first + k);
            let image = match &last {
                Some((known, image)) if *known == picture => Arc::clone(image),
                _ => self.folder.get(picture)?,
            };
            let (top, left) = (place / self.across[picture], place % self.across[picture]);
            for (y, row) in patch.chunks_exact_mut(self.width).enumerate() {
                let start = (top + y) * image.width + left;
                let pixels = image.data.get(start..start + self.width).ok_or_else(|| {
                    let path = &self.folder.paths()[picture];
                    DataError::format(path, "has another size than when it was opened")
                })?;
                row.copy_from_slice(pixels);
            }
            let mean = patch.iter().sum::<f32>() / patch.len() as f32;
            patch.iter_mut().for_each(|value| *value -= mean);
            last = Some((picture, image));
        }
        Ok(())
    }

    fn file(&self, row: usize) -> (&Path, usize) {
        let (picture, place) = self.place(row);
        (&self.folder.paths()[picture], place)
    }
}
