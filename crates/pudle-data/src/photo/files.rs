//! Reading picture files.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::deep::{Deep, Range, swaps};
use super::frames::Count;
use super::guard::guarded;
use super::notes::Notes;
use super::pixels::Pixels;
use super::problem::{Header, MOST_BYTES, Problem, limits, plain_words};
use super::sniff::{HEAD, end_of_jpeg, unread};
use super::{JPEG_QUALITY, Photo, PhotoOptions, frames, highest, is_gray, jpeg, png, tiff, webp};
use crate::error::{DataError, Result};
use crate::image::{ColorMode, Image};

/// Most bytes of pixels that a byte of a JPEG file can give: a block of 64 samples takes a bit at least, and a sample of
/// colour may stand for 16 pixels.
const MOST_OF_JPEG: u64 = 2_000;

/// Most bytes of pixels that a byte of a PNG file can give: Deflate gives 1,032, and a byte can hold 8 pixels of 3 bytes.
const MOST_OF_PNG: u64 = 1_032 * 24;

/// Most files whose remarks are said when they are read as data.
const MOST_REMARKS: usize = 20;

/// Opens a file, and recognises its format by content.
fn open(path: &Path) -> Result<(BufReader<File>, ImageFormat)> {
    let failed = |e| DataError::io(path, e);
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(DataError::decode(path, "not a regular file"));
    }
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let format = recognise(&mut file, path)?;
    Ok((file, format))
}

/// The format of a file by its content.
fn recognise<R: Read + Seek>(file: &mut R, path: &Path) -> Result<ImageFormat> {
    let failed = |e| DataError::io(path, e);
    let mut head = Vec::new();
    Read::by_ref(file).take(HEAD).read_to_end(&mut head).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if let Some(what) = unread(&head) {
        return Err(DataError::decode(path, what));
    }
    if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|start| head.starts_with(*start)) {
        return Ok(ImageFormat::Tiff);
    }
    match image::guess_format(&head) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => Ok(format),
        _ => Err(DataError::decode(path, "its content is of no known picture format")),
    }
}

/// The format of a picture file by its content.
pub(super) fn format_at(path: &Path) -> Result<ImageFormat> {
    Ok(open(path)?.1)
}

/// Size and colour of a picture, from its header. `any_page` allows files with several pages or frames.
pub(crate) fn header(path: &Path, any_page: bool) -> Result<Header> {
    without_panic(path, || {
        let (mut file, format) = open(path)?;
        if format == ImageFormat::Tiff {
            return tiff::header(file, any_page).map_err(|problem| problem.of(path));
        }
        let count = count_frames(&mut file, format, &mut Notes::default())
            .map_err(|e| DataError::io(path, e))?;
        if count.has_to_be_chosen() && !any_page {
            return Err(Problem::Pages(count.frames as usize).of(path));
        }
        file.rewind().map_err(|e| DataError::io(path, e))?;
        let mut decoder =
            ImageReader::with_format(file, format).into_decoder().map_err(|e| words(path, e))?;
        let (width, height) = decoder.dimensions();
        let turned = swaps(decoder.orientation().unwrap_or(Orientation::NoTransforms));
        let (height, width) = if turned { (width, height) } else { (height, width) };
        let sides = [height as usize, width as usize];
        Ok(Header { sides, colored: decoder.color_type().has_color() })
    })
}

/// The result of `read`. If the decoder panics, that is an error of this file.
fn without_panic<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    guarded(read).unwrap_or_else(|| {
        Err(DataError::decode(path, "the decoder fails on it; save it again with another program"))
    })
}

fn words(path: &Path, error: ImageError) -> DataError {
    plain_words(error).of(path)
}

/// Reads the notes of PNG and WebP files. Returns the number of frames of an animation.
fn count_frames<R: Read + Seek>(
    file: &mut R,
    format: ImageFormat,
    notes: &mut Notes,
) -> std::io::Result<Count> {
    match format {
        ImageFormat::Png => png::read(file, notes),
        ImageFormat::WebP => webp::read(file, notes),
        _ => Ok(Count::default()),
    }
}

/// What a decoder gives.
struct Decoded {
    pixels: Pixels,
    orientation: Orientation,
    notes: Notes,
}

/// Reads a PNG, JPEG or WebP file.
fn read_still<R: BufRead + Seek>(
    mut file: R,
    format: ImageFormat,
    path: &Path,
    page: Option<usize>,
) -> Result<Decoded> {
    let failed = |e| DataError::io(path, e);
    let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let mut notes = Notes::default();
    if format == ImageFormat::Jpeg {
        // The decoder fills what is missing with grey.
        let mut bytes = Vec::new();
        file.rewind().map_err(failed)?;
        file.read_to_end(&mut bytes).map_err(failed)?;
        let end = end_of_jpeg(&bytes).map_err(|reason| DataError::decode(path, reason))?;
        jpeg::read(&bytes, end, &mut notes);
    }
    let count = count_frames(&mut file, format, &mut notes).map_err(failed)?;
    let frame = count.choose(page, &mut notes.lost).map_err(|problem| problem.of(path))?;
    file.rewind().map_err(failed)?;
    let mut reader = ImageReader::with_format(&mut file, format);
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(|e| words(path, e))?;
    // Exif data that cannot be read do not prevent reading the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    notes.profile = decoder.icc_profile().unwrap_or(None);
    notes.set_exif(decoder.exif_metadata().unwrap_or(None));
    let (width, height) = decoder.dimensions();
    if decoder.total_bytes() > MOST_BYTES {
        return Err(DataError::decode(path, format!("{width} × {height} pixels are too many")));
    }
    let ratio = match format {
        ImageFormat::Jpeg => MOST_OF_JPEG,
        ImageFormat::Png => MOST_OF_PNG,
        _ => u64::MAX,
    };
    if decoder.total_bytes() / ratio > length {
        let reason = format!("{length} bytes cannot hold {width} × {height} pixels");
        return Err(DataError::decode(path, reason));
    }
    let pixels = match frame {
        Some(frame) => {
            drop(decoder);
            file.rewind().map_err(failed)?;
            let count = count.frames as usize;
            frames::read(file, format, frame, count).map_err(|problem| problem.of(path))?
        }
        None => DynamicImage::from_decoder(decoder).map_err(|e| words(path, e))?,
    };
    Ok(Decoded { pixels: Pixels::Plain(pixels), orientation, notes })
}

impl Photo {
    /// Reads a PNG, JPEG, TIFF or WebP file, whichever it is by its content.
    ///
    /// # Errors
    /// Those of [`read_with`](Self::read_with).
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_with(path, &PhotoOptions::default())
    }

    /// Reads a PNG, JPEG, TIFF or WebP file, whichever it is by its content, with options.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file cannot be opened, [`DataError::Decode`] if its content is not
    /// a picture, is damaged, ends early, holds samples that are not finite, or makes the decoder panic,
    /// [`DataError::Pages`] if it has several pages or frames and the options choose none, [`DataError::Format`] if it has no such
    /// page, [`DataError::Range`] if the range of the options is empty or not finite.
    pub fn read_with(path: &Path, options: &PhotoOptions) -> Result<Self> {
        without_panic(path, || {
            let (file, format) = open(path)?;
            Self::decode_as(file, format, path, options)
        })
    }

    /// Reads a picture from the bytes of a file, as [`read_with`](Self::read_with) does. `name` is what errors call it.
    ///
    /// # Errors
    /// Those of [`read_with`](Self::read_with).
    pub fn decode(bytes: &[u8], name: &Path, options: &PhotoOptions) -> Result<Self> {
        without_panic(name, || {
            let mut file = Cursor::new(bytes);
            let format = recognise(&mut file, name)?;
            Self::decode_as(file, format, name, options)
        })
    }

    fn decode_as<R: BufRead + Seek>(
        file: R,
        format: ImageFormat,
        path: &Path,
        options: &PhotoOptions,
    ) -> Result<Self> {
        let range = options.range.map(|(low, high)| Range { low, high });
        if let Some(Range { low, high }) = range
            && !(low < high && (high - low).is_finite())
        {
            return Err(DataError::range(
                "range",
                format!("{low},{high}"),
                "two numbers, the lower first",
            ));
        }
        let Decoded { mut pixels, orientation, mut notes } = match format {
            ImageFormat::Tiff => {
                let found = tiff::read(file, options.page).map_err(|problem| problem.of(path))?;
                Decoded { pixels: found.pixels, orientation: found.orientation, notes: found.notes }
            }
            _ => read_still(file, format, path, options.page)?,
        };
        let mut remarks = Vec::new();
        pixels = match pixels {
            Pixels::Plain(mut plain) => {
                plain.apply_orientation(orientation);
                let plain = at_most_16_bits(plain);
                if range.is_none() {
                    remarks.extend(highest(&plain).and_then(few_bits));
                }
                match range {
                    Some(range) => Pixels::Deep(Deep::from_plain(&plain, range)),
                    None => Pixels::Plain(plain),
                }
            }
            Pixels::Deep(deep) => {
                let mut deep = deep.oriented(orientation);
                remarks.extend(deep.settle(range));
                Pixels::Deep(deep)
            }
        };
        notes.turn(orientation);
        let [height, width] = pixels.sides();
        if height == 0 || width == 0 {
            return Err(DataError::decode(path, format!("{width} × {height} pixels")));
        }
        // A profile of another colour space than the pixels', CMYK for example, would be wrong.
        if notes.profile.as_ref().is_some_and(|profile| !describes(profile, pixels.stored() > 2)) {
            notes.profile = None;
            notes.lost.push("the colour profile, which does not fit the pixels".into());
        }
        let gray = is_gray(&pixels);
        Ok(Self { gray, pixels, notes, remarks, jpeg_quality: JPEG_QUALITY })
    }
}

/// Pixels of 8 or 16 bits.
fn at_most_16_bits(pixels: DynamicImage) -> DynamicImage {
    let color = pixels.color();
    if color.bytes_per_pixel() / color.channel_count() <= 2 {
        return pixels;
    }
    match color.has_alpha() {
        true => DynamicImage::ImageRgba16(pixels.into_rgba16()),
        false => DynamicImage::ImageRgb16(pixels.into_rgb16()),
    }
}

/// What to say of samples of 16 bits that use few of them.
fn few_bits(highest: u16) -> Option<String> {
    let bits = 16 - highest.leading_zeros();
    (9..=14).contains(&bits).then(|| {
        format!(
            "its values reach {highest} of 65535: data of {bits} bits in a file of 16 look so, and are shown at 1/{} of \
             their brightness",
            1u32 << (16 - bits)
        )
    })
}

/// Whether the header of a profile names the colour space of colour (or grey) pixels.
pub(super) fn describes(profile: &[u8], colored: bool) -> bool {
    profile.get(16..20) == Some(if colored { b"RGB " } else { b"GRAY" })
}

/// Says the remarks of a picture that is read as data, once for each file.
fn remark_once(path: &Path, remarks: &[String]) {
    static SAID: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    if remarks.is_empty() {
        return;
    }
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let said = said.get_or_insert_default();
    if said.len() < MOST_REMARKS && said.insert(path.to_owned()) {
        remarks.iter().for_each(|remark| log::warn!("{}: {remark}", path.display()));
    }
}

impl Image {
    /// Reads a picture file as [`Photo::read`] does, with 0 black and 1 white. Alpha is dropped, not composited.
    ///
    /// # Errors
    /// Those of [`Photo::read`].
    pub fn read(path: &Path, mode: ColorMode) -> Result<Self> {
        let photo = Photo::read(path)?;
        remark_once(path, photo.remarks());
        Ok(photo.to_image(mode))
    }
}
