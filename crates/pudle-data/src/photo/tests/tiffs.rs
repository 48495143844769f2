//! TIFF files that other programs write, each made from nothing.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::deep::{Deep, Kind};
use super::super::pixels::Pixels;
use super::*;

/// A page: tags with type and values, and strips or tiles.
#[derive(Clone, Default)]
pub(super) struct Page {
    tags: BTreeMap<u16, (u16, Vec<u32>)>,
    chunks: Vec<Vec<u8>>,
    tiled: bool,
}

impl Page {
    /// A page of one strip.
    pub(super) fn new([width, height]: [u32; 2], bits: u32, samples: u32, data: Vec<u8>) -> Self {
        let photometric = if samples < 3 { 1 } else { 2 };
        Self { chunks: vec![data], ..Self::default() }
            .with(256, 4, &[width])
            .with(257, 4, &[height])
            .with(258, 3, &vec![bits; samples as usize])
            .with(262, 3, &[photometric])
            .with(277, 3, &[samples])
    }

    pub(super) fn with(mut self, tag: u16, kind: u16, values: &[u32]) -> Self {
        self.tags.insert(tag, (kind, values.to_vec()));
        self
    }
}

/// A little-endian file of pages.
pub(super) fn tiff(pages: &[Page]) -> Vec<u8> {
    let mut bytes = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for page in pages {
        let mut tags = page.tags.clone();
        let mut places = Vec::new();
        for chunk in &page.chunks {
            places.push(bytes.len() as u32);
            bytes.extend(chunk);
        }
        let lengths = page.chunks.iter().map(|chunk| chunk.len() as u32).collect();
        let (at, count) = if page.tiled { (324, 325) } else { (273, 279) };
        tags.insert(at, (4, places));
        tags.insert(count, (4, lengths));
        let mut entries = Vec::new();
        for (tag, (kind, values)) in &tags {
            let mut data: Vec<u8> = match kind {
                3 => values.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect(),
                2 | 1 => values.iter().map(|&v| v as u8).collect(),
                _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            };
            let count = if *kind == 5 { values.len() / 2 } else { values.len() } as u32;
            if data.len() > 4 {
                let place = bytes.len() as u32;
                bytes.extend(data);
                data = place.to_le_bytes().to_vec();
            }
            data.resize(4, 0);
            let head = [tag.to_le_bytes(), kind.to_le_bytes()].concat();
            entries.extend([head, count.to_le_bytes().to_vec(), data].concat());
        }
        let start = bytes.len() as u32;
        bytes[link..link + 4].copy_from_slice(&start.to_le_bytes());
        bytes.extend((tags.len() as u16).to_le_bytes());
        bytes.extend(entries);
        link = bytes.len();
        bytes.extend([0; 4]);
    }
    bytes
}

fn decode(bytes: &[u8]) -> Result<Photo> {
    Photo::decode(bytes, Path::new("a.tif"), &PhotoOptions::default())
}

fn refused(bytes: &[u8]) -> String {
    decode(bytes).unwrap_err().to_string()
}

/// The samples of a picture of more than 16 bits.
fn deep(photo: &Photo) -> &Deep {
    let Pixels::Deep(deep) = &photo.pixels else { panic!("of another type") };
    deep
}

/// Writes a picture and reads it again.
fn again(photo: &Photo, name: &str) -> Photo {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    photo.write(&path).unwrap();
    Photo::read(&path).unwrap()
}

#[test]
fn samples_of_every_type_come_back() {
    let values = [1.0, 0.0, 3.0, 2.0, 5.0, 4.0f64];
    macro_rules! bytes {
        ($of:ty) => {
            values.iter().flat_map(|&v| (v as $of).to_le_bytes()).collect()
        };
    }
    let half = || values.iter().flat_map(|&v| half::f16::from_f64(v).to_le_bytes()).collect();
    let cases: [(Kind, u32, u32, Vec<u8>); 9] = [
        (Kind::F32, 3, 32, bytes!(f32)),
        (Kind::F64, 3, 64, bytes!(f64)),
        (Kind::F16, 3, 16, half()),
        (Kind::I8, 2, 8, bytes!(i8)),
        (Kind::I16, 2, 16, bytes!(i16)),
        (Kind::I32, 2, 32, bytes!(i32)),
        (Kind::I64, 2, 64, bytes!(i64)),
        (Kind::U32, 1, 32, bytes!(u32)),
        (Kind::U64, 1, 64, bytes!(u64)),
    ];
    for (kind, format, bits, bytes) in cases {
        let file = tiff(&[Page::new([3, 2], bits, 1, bytes).with(339, 3, &[format])]);
        let mut photo = decode(&file).unwrap();
        assert_eq!((photo.shape(), u32::from(photo.depth())), ([1, 2, 3], bits), "{kind:?}");
        assert!(photo.remarks()[0].contains("from 0 to 5"), "{kind:?}: {:?}", photo.remarks());
        let window = photo.window(0, 0, 2, 3);
        assert_eq!(window.data, values.map(|v| (v / 5.0) as f32), "{kind:?}");
        photo.put(0, 0, &window);
        photo.put(1, 2, &Image::from_fn(1, 1, 1, |_, _, _| 0.6));
        let back = again(&photo, "b.tif");
        assert_eq!(deep(&back).kind, kind);
        let samples = &deep(&back).samples;
        assert_eq!(samples[..5], values[..5], "{kind:?}: unchanged values keep their digits");
        assert!((samples[5] - 3.0).abs() < 0.01, "{kind:?}: {samples:?}");
        let plain = again(&photo, "b.png");
        assert_eq!((plain.shape(), plain.depth()), ([1, 2, 3], 16), "{kind:?}");
    }
}

/// A grey file of real numbers.
fn real(values: &[f32]) -> Vec<u8> {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tiff(&[Page::new([values.len() as u32, 1], 32, 1, bytes).with(339, 3, &[3])])
}

#[test]
fn the_range_of_real_numbers_is_known_or_said() {
    let shown = |values: &[f32]| {
        let photo = decode(&real(values)).unwrap();
        (photo.window(0, 0, 1, values.len()).data, photo.remarks().join(" "))
    };
    assert_eq!(shown(&[0.0, 0.25, 1.0]), (vec![0.0, 0.25, 1.0], String::new()));
    let (data, said) = shown(&[-0.125, 0.5, 1.125]);
    assert_eq!(data, [-0.125, 0.5, 1.125], "noise outside is not cut off");
    assert!(said.contains("from -0.125 to 1.125") && said.contains("1 as white"), "{said}");
    let (data, said) = shown(&[0.0, 127.5, 255.0]);
    assert_eq!(data, [0.0, 0.5, 1.0]);
    assert!(said.contains("255 as white"), "{said}");
    let (data, said) = shown(&[0.0, 2.0, 4.0]);
    assert_eq!(data, [0.0, 0.5, 1.0]);
    assert!(said.contains("from 0 to 4") && said.contains("taken as black and white"), "{said}");
    let (data, _) = shown(&[7.0, 7.0]);
    assert_eq!(data, [0.0, 0.0], "a single value is no division by zero");

    let options = PhotoOptions { range: Some((0.0, 2.0)), ..PhotoOptions::default() };
    let photo = Photo::decode(&real(&[1.0, 4.0]), Path::new("a"), &options).unwrap();
    assert_eq!(photo.window(0, 0, 1, 2).data, [0.5, 2.0]);
    assert!(photo.remarks().is_empty());
    let bad = PhotoOptions { range: Some((2.0, 2.0)), ..PhotoOptions::default() };
    let error = Photo::decode(&real(&[1.0]), Path::new("a"), &bad).unwrap_err();
    assert!(matches!(error, DataError::Range(_)), "{error}");
}

#[test]
fn a_range_of_twelve_bits_is_said_and_can_be_set() {
    let values = [0u16, 2048, 4095, 4095];
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let file = tiff(&[Page::new([4, 1], 16, 1, bytes)]);
    let said = decode(&file).unwrap().remarks().join(" ");
    assert!(said.contains("4095") && said.contains("12 bits") && said.contains("1/16"), "{said}");
    let options = PhotoOptions { range: Some((0.0, 4095.0)), ..PhotoOptions::default() };
    let photo = Photo::decode(&file, Path::new("a"), &options).unwrap();
    assert_eq!(photo.window(0, 2, 1, 1).data, [1.0]);
    let Pixels::Plain(plain) = &again(&photo, "b.png").pixels else { panic!("of 16 bits") };
    assert_eq!(plain.to_luma16().into_raw(), values, "written in the file's own values");
}

#[test]
fn the_first_value_that_is_not_finite_is_named() {
    for value in [f32::NAN, f32::INFINITY] {
        let error = refused(&real(&[0.0, 0.5, value, value]));
        assert!(error.contains("2 samples") && error.contains("row 0, column 2"), "{error}");
    }
}

#[test]
fn one_page_of_several_has_to_be_chosen() {
    let page = |value: u8| Page::new([2, 1], 8, 1, vec![value; 2]);
    let file = tiff(&[page(10), page(20), page(30)]);
    let error = decode(&file).unwrap_err();
    assert!(matches!(error, DataError::Pages { count: 3, .. }), "{error}");
    let read = |page| {
        let options = PhotoOptions { page: Some(page), ..PhotoOptions::default() };
        Photo::decode(&file, Path::new("a.tif"), &options)
    };
    assert_eq!(read(2).unwrap().window(0, 0, 1, 1).data, [20.0 / 255.0]);
    for missing in [0, 4] {
        let error = read(missing).unwrap_err().to_string();
        assert!(error.contains("only pages 1 to 3"), "{error}");
    }
    // A stack with a single page.
    let text: Vec<u32> = b"ImageJ=1.53\nimages=5\n".iter().map(|&b| u32::from(b)).collect();
    assert!(refused(&tiff(&[page(10).with(270, 2, &text)])).contains("stack"));
    // Small copies are not pictures.
    let file = tiff(&[page(10).with(254, 4, &[1]), page(20)]);
    let photo = decode(&file).unwrap();
    assert_eq!(photo.window(0, 0, 1, 1).data, [20.0 / 255.0]);
    assert!(photo.notes.lost[0].contains("1 small"), "{:?}", photo.notes.lost);
}

#[test]
fn previews_of_raw_files_are_not_the_picture() {
    let page = Page::new([2, 1], 8, 1, vec![1; 2]);
    for raw in [page.clone().with(50706, 1, &[1, 4, 0, 0]), page.clone().with(262, 3, &[32803])] {
        let error = refused(&tiff(&[raw]));
        assert!(error.contains("raw file"), "{error}");
    }
    // The larger picture is a page that only a tag of the first one points to.
    let larger = Page::new([20, 10], 8, 1, vec![1; 200]);
    let alone = tiff(&[larger]);
    let mut file = tiff(&[page.with(254, 4, &[1]).with(330, 4, &[0])]);
    let shift = file.len() as u32;
    let at = u32::from_le_bytes(alone[4..8].try_into().unwrap());
    let entry = file.windows(4).position(|w| w == [0x4a, 1, 4, 0]).unwrap();
    file[entry + 8..entry + 12].copy_from_slice(&(shift + at).to_le_bytes());
    file.extend(&alone);
    let error = refused(&file);
    assert!(error.contains("2 × 1") && error.contains("20 × 10"), "{error}");
}

#[test]
fn bands_beside_the_colours_are_kept_or_refused() {
    let error = refused(&tiff(&[Page::new([1, 1], 8, 5, vec![1, 2, 3, 4, 5])]));
    assert!(error.contains("5 bands"), "{error}");
    for (samples, extra) in [(2, 2), (4, 0), (4, 1), (4, 2)] {
        let data = (1..=samples as u8).collect();
        let page = Page::new([1, 1], 8, samples, data).with(338, 3, &[extra]);
        let back = again(&decode(&tiff(&[page])).unwrap(), "b.tif");
        assert_eq!(back.pixels.stored(), samples as usize);
        assert_eq!(back.notes.extra, Some(u64::from(extra)));
        let Pixels::Plain(plain) = &back.pixels else { panic!("of 8 bits") };
        assert_eq!(plain.as_bytes().last(), Some(&(samples as u8)), "the band is kept");
    }
    // Colours that are multiplied with alpha are divided for a format that stores them so.
    let page = Page::new([1, 1], 8, 4, vec![50, 100, 25, 128]).with(338, 3, &[1]);
    let Pixels::Plain(plain) = again(&decode(&tiff(&[page])).unwrap(), "b.png").pixels else {
        panic!("of 8 bits")
    };
    assert_eq!(plain.as_bytes(), [100, 199, 50, 128]);
}

#[test]
fn planes_and_tiles_that_reach_over_the_border_are_read() {
    // 20 × 20 pixels in three planes of four tiles of 16 × 16.
    let mut page = Page::new([20, 20], 8, 3, Vec::new())
        .with(284, 3, &[2])
        .with(322, 3, &[16])
        .with(323, 3, &[16]);
    page.tiled = true;
    page.chunks = (0..12)
        .map(|k| {
            let (plane, top, left) = (k / 4, k % 4 / 2 * 16, k % 2 * 16);
            (0..256).map(|i| (plane * 80 + (top + i / 16) + (left + i % 16)) as u8).collect()
        })
        .collect();
    let photo = decode(&tiff(&[page])).unwrap();
    for (y, x) in [(0, 0), (3, 17), (19, 19), (18, 2)] {
        let expected = [0, 80, 160].map(|c| (c + y + x) as f32 / 255.0);
        assert_eq!(photo.window(y, x, 1, 1).data, expected, "{y} {x}");
    }
}

#[test]
fn few_bits_and_palettes_are_read() {
    let gray = |page: Page| decode(&tiff(&[page])).unwrap().window(0, 0, 1, 3).data;
    let bits = |page: Page| gray(page).iter().map(|v| (v * 65535.0).round() as u32).collect();
    let packed = Page::new([3, 1], 1, 1, vec![0b1010_0000]);
    assert_eq!(gray(packed.clone()), [1.0, 0.0, 1.0]);
    assert_eq!(gray(packed.clone().with(262, 3, &[0])), [0.0, 1.0, 0.0], "white is zero");
    let mirrored = Page::new([3, 1], 1, 1, vec![0b0000_0101]).with(266, 3, &[2]);
    assert_eq!(gray(mirrored), [1.0, 0.0, 1.0], "the lowest bit first");
    let twelve: Vec<u32> = bits(Page::new([3, 1], 12, 1, vec![0xff, 0xf0, 0x00, 0x80, 0x00]));
    assert_eq!(twelve, [65535, 0, 32776]);
    let mut map = vec![0; 3 * 4];
    (map[1], map[4 + 2], map[8 + 3]) = (0xffff, 0xffff, 0x8080);
    let palette = Page::new([3, 1], 2, 1, vec![0b0110_1100]).with(262, 3, &[3]).with(320, 3, &map);
    let photo = decode(&tiff(&[palette])).unwrap();
    let green = 128.0 / 255.0;
    assert_eq!(photo.window(0, 0, 1, 3).data, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, green]);
}

#[test]
fn what_is_not_read_is_said_without_names_of_types() {
    let page = Page::new([1, 1], 8, 3, vec![1, 2, 3]);
    for (tag, value, word) in [
        (262, 8, "Lab"),
        (259, 34887, "LERC"),
        (259, 6, "old kind"),
        (259, 77, "number 77"),
        (339, 6, "complex"),
        (256, 0, "0 × 1 pixels"),
        (257, 70_000, "cannot hold"),
    ] {
        let error = refused(&tiff(&[page.clone().with(tag, 3 + u16::from(tag == 257), &[value])]));
        assert!(error.contains(word), "{word}: {error}");
        assert!(!error.contains("Unknown") && !error.contains("::"), "{error}");
    }
    let mixed = page.with(258, 3, &[8, 8, 4]);
    assert!(refused(&tiff(&[mixed])).contains("different types"));
}

#[test]
fn zstandard_and_predictors_are_read() {
    // A frame of Zstandard that stores its 4 bytes as they are.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 4, 0x21, 0, 0, 10, 1, 1, 1];
    let page = Page::new([4, 1], 8, 1, frame.to_vec()).with(259, 3, &[50000]);
    let data = |page: Page| {
        let data = decode(&tiff(&[page])).unwrap().window(0, 0, 1, 4).data;
        data.iter().map(|v| (v * 255.0).round() as u8).collect::<Vec<_>>()
    };
    assert_eq!(data(page.clone()), [10, 1, 1, 1]);
    assert_eq!(data(page.with(317, 3, &[2])), [10, 11, 12, 13], "differences");
}

#[test]
fn tags_stay_in_tiff_and_become_exif() {
    let text = |text: &str| text.bytes().chain([0]).map(u32::from).collect::<Vec<_>>();
    let page = Page::new([2, 1], 8, 1, vec![9; 2])
        .with(270, 2, &text("My scan"))
        .with(306, 2, &text("2020:01:02 03:04:05"))
        .with(33432, 2, &text("(c) A. Person"))
        .with(282, 5, &[300, 1])
        .with(283, 5, &[300, 1])
        .with(296, 3, &[2])
        .with(33550, 12, &[0, 0, 0, 0, 0, 0])
        .with(65000, 3, &[1]);
    let photo = decode(&tiff(&[page])).unwrap();
    assert_eq!(photo.notes.lost, ["TIFF tag 65000"]);
    let back = again(&photo, "b.tif");
    assert_eq!(back.notes.density, photo.notes.density);
    let (kept, _) = back.notes.tag_set();
    let numbers: Vec<u16> = kept.main.iter().map(|(tag, _)| *tag).collect();
    assert_eq!(numbers, [270, 306, 33432, 33550]);
    let jpeg = again(&photo, "b.jpg");
    assert_eq!(jpeg.notes.density, photo.notes.density);
    let exif = jpeg.notes.exif.unwrap();
    for word in [&b"My scan"[..], b"2020:01:02", b"A. Person"] {
        assert!(exif.windows(word.len()).any(|window| window == word));
    }
    let lost = photo.notes.lost_in(::image::ImageFormat::Jpeg);
    assert_eq!(lost, ["TIFF tag 65000", "the place on the map"]);
}
