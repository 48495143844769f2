use super::*;
use crate::idx::tests::{encode, gzip};

/// Five pictures of 2 × 3; picture i is filled with 51 · i and has label i modulo 3.
fn write(dir: &Path, images: &str, labels: &str) {
    let pixels: Vec<u8> = (0..5).flat_map(|i| [51 * i; 6]).collect();
    let put = |name: &str, bytes: Vec<u8>| {
        let bytes = if name.ends_with(".gz") { gzip(&bytes) } else { bytes };
        std::fs::write(dir.join(name), bytes).unwrap();
    };
    put(images, encode(&[5, 2, 3], &pixels));
    put(labels, encode(&[5], &[0, 1, 2, 0, 1]));
}

#[test]
fn all_usual_names_are_found() {
    for (part, images, labels) in [
        (DigitPart::Train, "train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        (DigitPart::Train, "train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        (DigitPart::Test, "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
        (DigitPart::Test, "t10k-images.idx3-ubyte.gz", "t10k-labels-idx1-ubyte"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), images, labels);
        let digits = Digits::open(dir.path(), part, &[]).unwrap();
        assert_eq!((digits.len(), digits.height(), digits.width()), (5, 2, 3));
        assert_eq!(digits.pixels(4).unwrap(), [0.8; 6]);
        assert!(digits.pixels(5).is_none());
        let other = if part == DigitPart::Train { DigitPart::Test } else { DigitPart::Train };
        let error = Digits::open(dir.path(), other, &[]).unwrap_err();
        assert!(matches!(error, DataError::NoDigits { .. }), "{error}");
        if !labels.ends_with("idx1-ubyte") || !images.ends_with(".gz") {
            assert_eq!(Digits::open(&dir.path().join(images), other, &[]).unwrap(), digits);
        }
    }
}

#[test]
fn classes_are_filtered() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    let digits = Digits::open(dir.path(), DigitPart::Train, &[1, 2]).unwrap();
    assert_eq!(digits.labels(), [1, 2, 1]);
    let image = digits.image(2).unwrap();
    assert_eq!((image.shape(), image.data[0]), ([1, 2, 3], 0.8));
    let error = Digits::open(dir.path(), DigitPart::Train, &[7]).unwrap_err();
    assert!(error.to_string().contains("[7]"), "{error}");
}

#[test]
fn pairs_that_do_not_match_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Digits::open(dir.path(), DigitPart::Train, &[]).unwrap_err().to_string();
    write(dir.path(), "train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    let labels = dir.path().join("train-labels-idx1-ubyte");
    std::fs::write(&labels, encode(&[4], &[0; 4])).unwrap();
    assert!(open().contains("for 5 images"), "{}", open());
    std::fs::remove_file(&labels).unwrap();
    assert!(open().contains("no train digits"), "{}", open());
    std::fs::copy(dir.path().join("train-images-idx3-ubyte"), &labels).unwrap();
    std::fs::write(dir.path().join("train-images-idx3-ubyte"), encode(&[5, 0, 3], &[])).unwrap();
    assert!(open().contains("0 × 3"), "{}", open());
    let missing = dir.path().join("nothing-here");
    assert!(matches!(Digits::open(&missing, DigitPart::Test, &[]), Err(DataError::Io { .. })));
    let stray = dir.path().join("stray");
    std::fs::write(&stray, "").unwrap();
    assert!(matches!(Digits::open(&stray, DigitPart::Test, &[]), Err(DataError::Format { .. })));
}

#[test]
fn batches_pass_over_the_range() {
    let pixels = (0..12).flat_map(|i| [20 * i as u8; 4]).collect();
    let digits = Arc::new(Digits::from_bytes(2, 2, pixels, vec![0; 12]));
    let batches = DigitBatches::new(digits.clone(), 3, 1, 2..8).unwrap();
    let mut seen: Vec<u8> = (4..6)
        .flat_map(|k| {
            let batch = batches.batch(k).unwrap();
            assert_eq!(batch.shape, [3, 4]);
            assert_eq!(batch.input, batch.target);
            batch.input.chunks(4).map(|d| (d[0] * 255.0 / 20.0).round() as u8).collect::<Vec<_>>()
        })
        .collect();
    seen.sort();
    assert_eq!(seen, [2, 3, 4, 5, 6, 7]);
    let again = DigitBatches::new(digits.clone(), 3, 1, 2..8).unwrap();
    assert_eq!(again.batch(5).unwrap(), batches.batch(5).unwrap());
    for bad in [3..3, 0..13, 12..13, Range { start: 5, end: 2 }] {
        assert!(DigitBatches::new(digits.clone(), 3, 1, bad).is_err());
    }
    assert!(DigitBatches::new(digits, 0, 1, 0..1).is_err());
}

#[test]
fn what_is_left_of_a_batch_is_what_it_was() {
    let pixels = (0..12).flat_map(|i| [20 * i as u8; 4]).collect();
    let digits = Arc::new(Digits::from_bytes(2, 2, pixels, vec![0; 12]));
    let batches = || DigitBatches::new(digits.clone(), 3, 1, 2..8).unwrap();
    // The second and fourth of the range, digits 3 and 5.
    let less = batches().without(&[1, 3]);
    for step in 0..6 {
        let shades = |batch: Batch| -> Vec<u8> {
            batch.input.chunks(4).map(|d| (d[0] * 255.0 / 20.0).round() as u8).collect()
        };
        let mut whole = shades(batches().batch(step).unwrap());
        whole.retain(|shade| ![3, 5].contains(shade));
        let left = less.batch(step).unwrap();
        assert_eq!(left.shape, [whole.len(), 4]);
        assert_eq!(shades(left), whole);
    }
    let none = batches().without(&[0, 1, 2, 3, 4, 5]).batch(0).unwrap_err().to_string();
    assert!(none.contains("left out"), "{none}");
}
