//! Exif data: the small copy of the picture in them, and what XMP data say of the orientation.

use std::io::Cursor;

use super::ifd::Reader;
use super::tag;

/// Removes the small copy of the picture, which would still show the noise. Returns whether there was one.
pub(super) fn drop_thumbnail(exif: &mut Vec<u8>) -> bool {
    let Some((link, next)) = thumbnail(exif) else { return false };
    // Programs write it at the end. Elsewhere it stays as bytes that nothing points to.
    let (start, end) = next;
    if end == exif.len() && start < end {
        exif.truncate(start);
    } else if let Some(copy) = exif.get_mut(start..end) {
        copy.fill(0);
    }
    if let Some(link) = exif.get_mut(link..link + 4) {
        link.fill(0);
    }
    true
}

/// Where the link to the second directory is, and where the bytes of the small copy are.
fn thumbnail(exif: &[u8]) -> Option<(usize, (usize, usize))> {
    let mut file = Reader::new(Cursor::new(exif)).ok()?;
    let first = file.directory(file.first).ok()?;
    if first.next == 0 {
        return None;
    }
    let link = usize::try_from(first.next_at).ok()?;
    let bytes = file.directory(first.next).ok().and_then(|second| {
        let start = *file.numbers(&second, tag::THUMBNAIL_OFFSET).first()?;
        let length = *file.numbers(&second, tag::THUMBNAIL_LENGTH).first()?;
        let end = start.checked_add(length).filter(|&end| end <= exif.len() as u64)?;
        Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?))
    });
    // The directories themselves must stay.
    let safe = bytes.filter(|&(start, _)| start > link + 4);
    Some((link, safe.unwrap_or((link, link))))
}

/// Writes into XMP data that the picture is upright, because it has been turned.
pub(super) fn set_upright(xmp: &mut [u8]) {
    for (before, after) in
        [("tiff:Orientation=\"", "\""), ("tiff:Orientation='", "'"), ("<tiff:Orientation>", "<")]
    {
        let (before, after) = (before.as_bytes(), after.as_bytes()[0]);
        for at in 0..xmp.len().saturating_sub(before.len() + 1) {
            let digit = at + before.len();
            if xmp[at..].starts_with(before)
                && (b'2'..=b'8').contains(&xmp[digit])
                && xmp[digit + 1] == after
            {
                xmp[digit] = b'1';
            }
        }
    }
}
