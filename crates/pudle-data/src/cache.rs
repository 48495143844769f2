//! A bounded memory of pictures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::image::Image;

/// Most bytes of pixels kept, whatever their number.
const MAX_BYTES: usize = 256 << 20;

/// Keeps the first pictures that fit and makes the others anew every time.
///
/// Under the random order of training every picture is equally likely to be asked for next, so
/// throwing one out for another would gain nothing.
#[derive(Debug)]
pub(crate) struct Cache {
    capacity: usize,
    max_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pictures: HashMap<usize, Arc<Image>>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, max_bytes: MAX_BYTES, kept: Mutex::default() }
    }

    /// The picture kept under `i`, or the one `make` gives, which is then kept if there is room.
    pub(crate) fn get(&self, i: usize, make: impl FnOnce() -> Result<Image>) -> Result<Arc<Image>> {
        // A thread that panicked elsewhere leaves the map in order: every change is one insertion.
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(picture) = lock().pictures.get(&i) {
            return Ok(picture.clone());
        }
        // Made without the lock, so that threads do not wait for each other's decoding.
        let picture = Arc::new(make()?);
        let bytes = picture.data.len() * size_of::<f32>();
        let mut kept = lock();
        let room = kept.pictures.len() < self.capacity && kept.bytes + bytes <= self.max_bytes;
        if room && kept.pictures.insert(i, picture.clone()).is_none() {
            kept.bytes += bytes;
        }
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn makes(cache: &Cache, asked: &[usize]) -> usize {
        let made = Cell::new(0);
        for &i in asked {
            let make = || {
                made.set(made.get() + 1);
                Ok(Image::from_fn(1, 2, 5, |_, _, _| i as f32))
            };
            assert_eq!(cache.get(i, make).unwrap().data[0], i as f32);
        }
        made.get()
    }

    #[test]
    fn keeps_the_first_that_fit() {
        let asked = [0, 1, 2, 0, 1, 2, 2];
        assert_eq!(makes(&Cache::new(3), &asked), 3);
        assert_eq!(makes(&Cache::new(2), &asked), 5);
        assert_eq!(makes(&Cache::new(0), &asked), 7);
        // Ten values of four bytes each: 80 bytes are room for two.
        let small = Cache { max_bytes: 80, ..Cache::new(99) };
        assert_eq!(makes(&small, &asked), 5);
        assert_eq!(small.kept.lock().unwrap().bytes, 80);
    }
}
