//! A cache of pictures with a limited size.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::image::Image;

/// Most bytes of pixels in a cache.
const MAX_BYTES: usize = 256 << 20;

/// Holds the first pictures that fit. The others are made again every time.
///
/// Training asks for pictures in random order, so that each is equally likely to be the next one. Replacing
/// one picture by another would gain nothing.
#[derive(Debug)]
pub(crate) struct Cache {
    capacity: usize,
    max_bytes: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    pictures: HashMap<usize, Arc<Image>>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, max_bytes: MAX_BYTES, entries: Mutex::default() }
    }

    /// Picture `i` from the cache, or from `make`. A picture from `make` goes into the cache if it fits.
    pub(crate) fn get(&self, i: usize, make: impl FnOnce() -> Result<Image>) -> Result<Arc<Image>> {
        // A thread that panicked while it held the lock leaves the map valid: every change is one insertion.
        let lock = || self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(picture) = lock().pictures.get(&i) {
            return Ok(picture.clone());
        }
        // Made without the lock, so that threads do not wait for each other.
        let picture = Arc::new(make()?);
        let bytes = picture.data.len() * size_of::<f32>();
        let mut entries = lock();
        let fits =
            entries.pictures.len() < self.capacity && entries.bytes + bytes <= self.max_bytes;
        if fits && entries.pictures.insert(i, picture.clone()).is_none() {
            entries.bytes += bytes;
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
        // A picture has ten values of four bytes: two fit into 80 bytes.
        let small = Cache { max_bytes: 80, ..Cache::new(99) };
        assert_eq!(makes(&small, &asked), 5);
        assert_eq!(small.entries.lock().unwrap().bytes, 80);
    }
}
