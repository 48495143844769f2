//! What a file says of its picture: profile, Exif and XMP data, resolution and so on.

use image::ImageFormat;
use image::metadata::Orientation;

use super::deep::swaps;
use super::exif::{drop_thumbnail, set_upright};
use super::photoshop::without_thumbnails;
use super::tag;
use super::tags::{self, TagSet};

/// Pixels per unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Density {
    /// 0 none, so that only the shape of a pixel is said; 1 inch; 2 centimetre.
    pub unit: u8,
    pub x: f64,
    pub y: f64,
}

/// What only one format can hold.
#[derive(Clone, Debug, Default)]
pub(super) enum Own {
    #[default]
    Nothing,
    /// Names and data of chunks.
    Png(Vec<([u8; 4], Vec<u8>)>),
    /// Markers and data of segments.
    Jpeg(Vec<(u8, Vec<u8>)>),
    Tiff(TagSet),
}

/// What a file says of its picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// ICC colour profile.
    pub profile: Option<Vec<u8>>,
    /// Exif data, without their orientation and small copy.
    pub exif: Option<Vec<u8>>,
    pub xmp: Option<Vec<u8>>,
    /// Data of Photoshop, with IPTC data in them.
    pub photoshop: Option<Vec<u8>>,
    pub density: Option<Density>,
    pub own: Own,
    /// What the sample beside the colours is, by the number of TIFF.
    pub extra: Option<u64>,
    /// What the file says and this does not hold, in words.
    pub lost: Vec<String>,
}

/// What is said of a picture whose colours are inks.
pub(super) const INKS: &str = "CMYK inks (the colours are brought to red, green and blue)";

impl Notes {
    /// The notes of a page.
    pub(super) fn of_tiff(mut set: TagSet, extra: Option<u64>) -> Self {
        let mut notes = Self { extra, ..Self::default() };
        let bytes = |value: Option<super::ifd::Value>| value.map(|value| value.bytes);
        notes.profile = bytes(set.take(34675));
        notes.xmp = bytes(set.take(700));
        if let Some(photoshop) = set.take(34377) {
            notes.set_photoshop(&photoshop.bytes);
        }
        let unit = set
            .take(tag::RESOLUTION_UNIT)
            .and_then(|value| value.numbers().first().copied())
            .unwrap_or(2);
        let side = |set: &mut TagSet, tag| set.take(tag)?.ratios().first().copied();
        if let (Some(x), Some(y)) = (side(&mut set, 282), side(&mut set, 283)) {
            let unit = unit.saturating_sub(1).min(2) as u8;
            let says = x.is_finite() && y.is_finite() && x > 0.0 && y > 0.0;
            notes.density = Some(Density { unit, x, y }).filter(|_| says && (unit > 0 || x != y));
        }
        notes.lost.extend(tags::names(&set.lost));
        set.lost.clear();
        notes.own = Own::Tiff(set);
        notes
    }

    /// Says what of the way samples are stored is not kept: a palette, or samples of so many bits that are no whole bytes.
    pub(super) fn set_stored(&mut self, bits: u64, palette: bool) {
        if palette {
            self.lost.push("the palette (each pixel has its colour in full)".into());
        } else if !bits.is_multiple_of(8) {
            let wide = if bits < 8 { 8 } else { 16 };
            let bits = if bits == 1 { "1 bit".into() } else { format!("{bits} bits") };
            self.lost.push(format!("samples of {bits} (they have {wide} bits)"));
        }
    }

    /// Keeps data of Photoshop without small copies of the picture.
    pub(super) fn set_photoshop(&mut self, data: &[u8]) {
        match without_thumbnails(data) {
            Some((kept, dropped)) => {
                self.photoshop = Some(kept).filter(|kept| !kept.is_empty());
                if dropped {
                    self.lost.push("the small copy of the picture (Photoshop)".into());
                }
            }
            None => self.lost.push("IPTC data, which are damaged".into()),
        }
    }

    /// Sets Exif data, and removes from them what is no longer true.
    pub(super) fn set_exif(&mut self, exif: Option<Vec<u8>>) {
        self.exif = exif.map(|mut exif| {
            let _ = Orientation::remove_from_exif_chunk(&mut exif);
            if drop_thumbnail(&mut exif) {
                self.lost.push("the small copy of the picture (Exif)".into());
            }
            exif
        });
    }

    /// Follows the picture as it is turned.
    pub(super) fn turn(&mut self, orientation: Orientation) {
        if orientation == Orientation::NoTransforms {
            return;
        }
        if let Some(xmp) = &mut self.xmp {
            set_upright(xmp);
        }
        if let Some(density) = self.density.as_mut().filter(|_| swaps(orientation)) {
            std::mem::swap(&mut density.x, &mut density.y);
        }
    }

    /// Exif data for a file that holds them as one block.
    pub(super) fn exif_block(&self) -> Option<Vec<u8>> {
        match &self.own {
            Own::Tiff(set) => set.to_exif(),
            _ => self.exif.clone(),
        }
    }

    /// The tags for a TIFF file, and whether Exif data could not be read.
    pub(super) fn tag_set(&self) -> (TagSet, bool) {
        match (&self.own, &self.exif) {
            (Own::Tiff(set), _) => (set.clone(), false),
            (_, Some(exif)) => {
                let set = TagSet::of_exif(exif);
                (set.clone().unwrap_or_default(), set.is_none())
            }
            _ => Default::default(),
        }
    }

    /// What a file of a format does not hold of these notes, in words.
    pub(super) fn lost_in(&self, format: ImageFormat) -> Vec<String> {
        let mut lost = self.lost.clone();
        match &self.own {
            Own::Png(own) if format != ImageFormat::Png => {
                let mut names: Vec<_> =
                    own.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
                names.dedup();
                lost.push(names.join(", "));
            }
            Own::Jpeg(own) if format != ImageFormat::Jpeg => {
                let comment = own.iter().any(|(marker, _)| *marker == 0xfe);
                lost.extend(comment.then(|| "the comment".into()));
                let more = own.iter().any(|(marker, _)| *marker != 0xfe);
                lost.extend(more.then(|| "a part of the XMP data".into()));
            }
            Own::Tiff(set) if format != ImageFormat::Tiff => {
                lost.extend(tags::names(&set.beside_exif()));
            }
            _ => {}
        }
        if self.photoshop.is_some() && !matches!(format, ImageFormat::Jpeg | ImageFormat::Tiff) {
            lost.push("IPTC data".into());
        }
        if self.density.is_some() && format == ImageFormat::WebP {
            lost.push("the resolution".into());
        }
        lost
    }
}
