//! Numbers of the tags of TIFF files (TIFF 6.0, its supplements, Exif and DNG) that are read by name.

/// What a page is: 1 a small copy, 4 a mask.
pub(super) const SUBFILE_TYPE: u16 = 254;
/// The same in older files: 2 a small copy.
pub(super) const OLD_SUBFILE_TYPE: u16 = 255;
pub(super) const WIDTH: u16 = 256;
pub(super) const HEIGHT: u16 = 257;
/// Bits of a sample.
pub(super) const BITS: u16 = 258;
pub(super) const COMPRESSION: u16 = 259;
/// What the samples mean.
pub(super) const PHOTOMETRIC: u16 = 262;
/// 2: the lowest bit of a byte is the first.
pub(super) const FILL_ORDER: u16 = 266;
pub(super) const DESCRIPTION: u16 = 270;
pub(super) const STRIP_OFFSETS: u16 = 273;
/// As in Exif.
pub(super) const ORIENTATION: u16 = 274;
/// Samples of a pixel.
pub(super) const SAMPLES: u16 = 277;
pub(super) const ROWS_PER_STRIP: u16 = 278;
pub(super) const STRIP_LENGTHS: u16 = 279;
/// 2: each sample has a plane of its own.
pub(super) const PLANAR: u16 = 284;
/// 2 inch, 3 centimetre.
pub(super) const RESOLUTION_UNIT: u16 = 296;
pub(super) const PREDICTOR: u16 = 317;
pub(super) const COLOR_MAP: u16 = 320;
pub(super) const TILE_WIDTH: u16 = 322;
pub(super) const TILE_HEIGHT: u16 = 323;
pub(super) const TILE_OFFSETS: u16 = 324;
pub(super) const TILE_LENGTHS: u16 = 325;
/// Pictures below a page.
pub(super) const SUB_DIRECTORIES: u16 = 330;
/// What samples beside the colours are.
pub(super) const EXTRA_SAMPLES: u16 = 338;
/// 1 whole, 2 signed, 3 real.
pub(super) const SAMPLE_FORMAT: u16 = 339;
pub(super) const JPEG_TABLES: u16 = 347;
pub(super) const THUMBNAIL_OFFSET: u16 = 513;
pub(super) const THUMBNAIL_LENGTH: u16 = 514;
/// 1: the inks are cyan, magenta, yellow and black.
pub(super) const INK_SET: u16 = 332;
/// Shares of red, green and blue in the light of YCbCr.
pub(super) const COEFFICIENTS: u16 = 529;
/// Of YCbCr.
pub(super) const SUBSAMPLING: u16 = 530;
/// The samples that are black and white, for each channel.
pub(super) const REFERENCE: u16 = 532;
/// Directory of Exif data.
pub(super) const EXIF: u16 = 34665;
/// Directory of the place.
pub(super) const GPS: u16 = 34853;
pub(super) const DNG_VERSION: u16 = 50706;
