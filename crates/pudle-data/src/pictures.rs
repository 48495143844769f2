//! Sets of pictures.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{DataError, Result};
use crate::image::Image;

/// A numbered set of pictures.
pub trait Pictures: Send + Sync + 'static {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Picture `i` of `0..len()`. The same `i` always gives the same picture.
    ///
    /// # Errors
    /// Returns an error if the picture cannot be read.
    fn picture(&self, i: usize) -> Result<Arc<Image>>;

    /// Channels of every picture.
    fn channels(&self) -> usize;

    /// A short description of the set, for logs.
    fn describe(&self) -> String;
}

impl<P: Pictures + ?Sized> Pictures for Arc<P> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn picture(&self, i: usize) -> Result<Arc<Image>> {
        (**self).picture(i)
    }

    fn channels(&self) -> usize {
        (**self).channels()
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// Pictures of which some may be unreadable.
///
/// If a picture cannot be read (a damaged or deleted file), the next readable one takes its place,
/// counted around the end. One bad file then does not end a long run, and the replacement does not
/// depend on chance. Each unreadable picture is logged once as a warning.
#[derive(Debug)]
pub(crate) struct Readable<P> {
    pictures: P,
    unreadable: Mutex<HashSet<usize>>,
}

impl<P: Pictures> Readable<P> {
    /// # Errors
    /// Returns an error if there are no pictures.
    pub(crate) fn new(pictures: P) -> Result<Self> {
        if pictures.is_empty() {
            return Err(DataError::range("number of pictures", 0, "at least 1"));
        }
        Ok(Self { pictures, unreadable: Mutex::default() })
    }

    /// All pictures, whether or not they can be read.
    pub(crate) fn pictures(&self) -> &P {
        &self.pictures
    }

    /// Picture `i`, or the next one that can be read.
    pub(crate) fn get(&self, i: usize) -> Result<Arc<Image>> {
        let count = self.pictures.len();
        let mut last = String::new();
        for candidate in (0..count).map(|skip| (i + skip) % count) {
            match self.pictures.picture(candidate) {
                Ok(image) if image.channels == self.pictures.channels() => return Ok(image),
                Ok(image) => {
                    let from = self.pictures.describe();
                    return Err(DataError::Shape {
                        what: format!("picture {candidate} of {from}"),
                        found: format!("{} channel(s)", image.channels),
                        expected: format!(
                            "{} (a batch holds either grey or colour pictures; read all of them as grey or as RGB)",
                            self.pictures.channels()
                        ),
                    });
                }
                Err(e @ (DataError::Io { .. } | DataError::Decode { .. })) => {
                    last = e.to_string();
                    let mut unreadable =
                        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                    if unreadable.insert(candidate) {
                        log::warn!("{last}; the next readable picture takes its place");
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Err(DataError::AllUnreadable { count, from: self.pictures.describe(), last })
    }
}
