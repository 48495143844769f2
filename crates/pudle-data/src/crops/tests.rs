use super::*;
use std::collections::HashSet;

use crate::error::DataError;
use crate::folder::ImageFolder;
use crate::image::ColorMode;
use crate::whole_pictures::WholePictures;

/// Picture `i` has pixels `i + (a ramp below 1)`, so a pixel tells its picture and place.
#[derive(Debug)]
struct Numbered(Vec<(usize, usize)>);

impl Pictures for Numbered {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn picture(&self, i: usize) -> Result<Arc<Image>> {
        let (h, w) = self.0[i];
        let n = (h * w) as f32;
        Ok(Arc::new(Image::from_fn(1, h, w, |_, y, x| i as f32 + (y * w + x) as f32 / n)))
    }

    fn channels(&self) -> usize {
        1
    }

    fn describe(&self) -> String {
        "numbered".into()
    }
}

fn config() -> CropConfig {
    CropConfig { crop: 4, batch: 3, sigma: (25.0f32).into(), seed: 11, ..CropConfig::default() }
}

#[test]
fn a_batch_depends_on_seed_and_step_alone() {
    let make = |seed| Crops::new(Numbered(vec![(9, 7); 5]), CropConfig { seed, ..config() });
    let (a, b) = (make(11).unwrap(), make(11).unwrap());
    let forward: Vec<_> = (0..8).map(|k| a.batch(k).unwrap()).collect();
    for k in (0..8).rev() {
        assert_eq!(b.batch(k).unwrap(), forward[k as usize]);
    }
    assert_ne!(forward[0], forward[1]);
    assert_ne!(make(12).unwrap().batch(0).unwrap(), forward[0]);
    assert_eq!(forward[0].shape, [3, 1, 4, 4]);
    assert_ne!(forward[0].input, forward[0].target);
}

#[test]
fn a_pass_covers_each_picture_once_and_its_positions_vary() {
    // Six data in batches of three: two steps are a pass.
    let quiet = CropConfig { sigma: (0.0f32).into(), flips: false, ..config() };
    let crops = Crops::new(Numbered(vec![(6, 6); 6]), quiet).unwrap();
    let mut corners = HashSet::new();
    for pass in 0..40 {
        let mut seen = HashSet::new();
        for step in [2 * pass, 2 * pass + 1] {
            let batch = crops.batch(step).unwrap();
            assert_eq!(batch.input, batch.target);
            for crop in batch.target.chunks(16) {
                seen.insert(crop[0].floor() as usize);
                corners.insert((crop[0].fract() * 36.0).round() as usize);
                assert!((crop[5] - crop[0] - 7.0 / 36.0).abs() < 1e-5, "an unflipped window");
            }
        }
        assert_eq!(seen.len(), 6);
    }
    // All nine places of a 4 × 4 window in 6 × 6.
    let expected: HashSet<_> = (0..3).flat_map(|y| (0..3).map(move |x| 6 * y + x)).collect();
    assert_eq!(corners, expected);
}

#[test]
fn all_four_flips_occur() {
    let plain = CropConfig { crop: 2, batch: 64, sigma: (0.0f32).into(), ..config() };
    let crops = Crops::new(Numbered(vec![(2, 2)]), plain).unwrap();
    let batch = crops.batch(0).unwrap();
    let firsts: HashSet<_> = batch.target.chunks(4).map(|c| (c[0] * 4.0) as u8).collect();
    assert_eq!(firsts, HashSet::from([0, 1, 2, 3]));
}

#[test]
fn small_pictures_are_grown() {
    let plain = CropConfig { crop: 5, batch: 1, sigma: (0.0f32).into(), flips: false, ..config() };
    let crops = Crops::new(Numbered(vec![(1, 3)]), plain).unwrap();
    let expected = Numbered(vec![(1, 3)]).picture(0).unwrap().pad_reflect_to(5, 5);
    assert_eq!(crops.batch(0).unwrap().target, expected.data);
}

#[test]
fn settings_out_of_range_are_named() {
    for (field, bad) in [
        ("crop", CropConfig { crop: 0, ..config() }),
        ("crop", CropConfig { crop: usize::MAX, ..config() }),
        ("batch", CropConfig { batch: 0, ..config() }),
        ("sigma", CropConfig { sigma: f32::NAN.into(), ..config() }),
        ("sigma", CropConfig { sigma: (-1.0f32).into(), ..config() }),
        ("values in a batch", CropConfig { crop: 4096, batch: 1 << 16, ..config() }),
    ] {
        let error = Crops::new(Numbered(vec![(9, 9)]), bad).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{field}` is")), "{error}");
    }
    assert!(Crops::new(Numbered(vec![]), config()).is_err());
}

#[test]
fn an_unreadable_picture_is_replaced_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..3 {
        let image = Image::from_fn(1, 40, 40, |_, _, _| i as f32 / 4.0);
        image.write(&dir.path().join(format!("{i}.png"))).unwrap();
    }
    // Damaged behind the header, so that opening the folder does not notice.
    let noisy = Image::from_fn(1, 40, 40, |_, y, x| ((y * 7919 + x * 104_729) % 97) as f32 / 97.0);
    let middle = dir.path().join("1.png");
    noisy.write(&middle).unwrap();
    let bytes = std::fs::read(&middle).unwrap();
    std::fs::write(&middle, &bytes[..bytes.len() / 2]).unwrap();

    let folder = Arc::new(ImageFolder::open(dir.path(), ColorMode::Gray).unwrap());
    assert_eq!((folder.len(), folder.skipped()), (3, 0));
    let whole = WholePictures::new(folder.clone(), 0.0, 0).unwrap();
    assert_eq!(whole.batch(1).unwrap(), whole.batch(2).unwrap());
    assert_ne!(whole.batch(0).unwrap(), whole.batch(1).unwrap());

    for name in ["0.png", "1.png", "2.png"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    let folder = Arc::try_unwrap({
        drop(whole);
        folder
    });
    let crops = Crops::new(folder.unwrap().with_capacity(0), config()).unwrap();
    assert!(matches!(crops.batch(0), Err(DataError::AllUnreadable { count: 3, .. })));
}

#[test]
fn whole_pictures_have_fixed_noise() {
    let whole = |seed| WholePictures::new(Numbered(vec![(5, 9), (4, 4), (3, 3)]), 10.0, seed);
    let all = whole(1).unwrap();
    assert_eq!(all.len(), 3);
    let batch = all.batch(0).unwrap();
    assert_eq!(batch.shape, [1, 1, 5, 9]);
    assert_eq!(batch, all.batch(3).unwrap());
    assert_ne!(batch.input, whole(2).unwrap().batch(0).unwrap().input);

    let cut = whole(1).unwrap().first(2).unwrap().max_side(4).unwrap();
    assert_eq!(cut.len(), 2);
    assert_eq!(cut.batch(2).unwrap().shape, [1, 1, 4, 4]);
    assert_eq!(cut.batch(1).unwrap().target, all.batch(1).unwrap().target);
    assert!(whole(1).unwrap().first(0).is_err());
    assert!(whole(1).unwrap().max_side(0).is_err());
}

#[test]
fn grey_and_colour_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    Image::from_fn(1, 8, 8, |_, _, _| 0.5).write(&dir.path().join("a.png")).unwrap();
    Image::from_fn(3, 8, 8, |_, _, _| 0.5).write(&dir.path().join("b.png")).unwrap();
    let crops = |mode| {
        let folder = ImageFolder::open(dir.path(), mode).unwrap();
        Crops::new(folder, CropConfig { batch: 2, ..config() }).unwrap().batch(0)
    };
    assert!(matches!(crops(ColorMode::AsIs), Err(DataError::Shape { .. })));
    assert_eq!(crops(ColorMode::Gray).unwrap().shape, [2, 1, 4, 4]);
    assert_eq!(crops(ColorMode::Rgb).unwrap().shape, [2, 3, 4, 4]);
}

#[test]
fn kinds_of_noise_change_the_input_alone() {
    let make = |noise| {
        let leaves = crate::DeadLeavesConfig { count: 3, ..Default::default() };
        let pictures = crate::DeadLeaves::new(leaves).unwrap();
        Crops::new(pictures, CropConfig { crop: 24, noise, ..config() }).unwrap()
    };
    let white = make(None).batch(2).unwrap();
    let kinds = crate::NoiseKinds { white: 0.0, correlated: 1.0, ..Default::default() };
    let other = make(Some(kinds)).batch(2).unwrap();
    assert_eq!((&white.target, &white.noise), (&other.target, &other.noise));
    assert_ne!(white.input, other.input);
    let none = crate::NoiseKinds { white: 0.0, ..Default::default() };
    let config = CropConfig { noise: Some(none), ..config() };
    let error = Crops::new(Numbered(vec![(9, 7)]), config).unwrap_err().to_string();
    assert!(error.contains("data.noise.white"), "{error}");
}
