//! The segments of JPEG files.

use super::notes::{Density, INKS, Notes, Own};

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const MORE_XMP: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
/// Most bytes of a segment after its length.
const MOST: usize = 65_533;

/// The segments before the first scan: the marker and the bytes after the length.
fn segments(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xff => {
                at += 1;
                continue;
            }
            0x01 | 0xd0..=0xd8 => {
                at += 2;
                continue;
            }
            0xd9 => break,
            _ => {}
        }
        let Some(length) = bytes.get(at + 2..at + 4) else { break };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
        let Some(body) = bytes.get(at + 4..at + 2 + length) else { break };
        found.push((marker, body));
        if marker == 0xda {
            break;
        }
        at += 2 + length;
    }
    found
}

/// Width, height and channels by the header of a JPEG stream.
pub(super) fn frame_size(bytes: &[u8]) -> Option<[usize; 3]> {
    let frame = |marker| matches!(marker, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf);
    let (_, body) = segments(bytes).into_iter().find(|(marker, _)| frame(*marker))?;
    let two =
        |at: usize| Some(usize::from(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?])));
    Some([two(3)?, two(1)?, usize::from(*body.get(5)?)])
}

/// What a JPEG file says beside Exif data and colour profile. `end` is where its first picture ends.
pub(super) fn read(bytes: &[u8], end: usize, notes: &mut Notes) {
    let mut own = Vec::new();
    let mut photoshop = Vec::new();
    let follows = bytes[end.min(bytes.len())..].iter().any(|&b| b != 0);
    for (marker, body) in segments(bytes) {
        match marker {
            0xe0 if body.starts_with(b"JFIF\0") => {
                notes.density = density(body);
                // Its sides are the last two bytes before its pixels.
                if body.len() > 14 && body[12] > 0 && body[13] > 0 {
                    notes.lost.push("the small copy of the picture (JFIF)".into());
                }
            }
            0xe0 => notes.lost.push("a small copy (JFXX)".into()),
            0xe1 if body.starts_with(b"Exif\0") => {}
            0xe1 if body.starts_with(XMP) => notes.xmp = Some(body[XMP.len()..].to_vec()),
            0xe1 if body.starts_with(MORE_XMP) => own.push((marker, body.to_vec())),
            0xe2 if body.starts_with(b"ICC_PROFILE\0") => {}
            0xe2 if body.starts_with(b"MPF\0") && follows => {}
            0xe2 if body.starts_with(b"MPF\0") => {
                notes.lost.push("a list of further pictures (MPF)".into());
            }
            0xed if body.starts_with(PHOTOSHOP) => photoshop.extend(&body[PHOTOSHOP.len()..]),
            0xee => {}
            0xfe => own.push((marker, body.to_vec())),
            0xe1..=0xef => notes.lost.push(format!("data of a program (APP{})", marker - 0xe0)),
            _ => {}
        }
    }
    if follows {
        notes.lost.push(
            "what follows the picture in the file, such as a gain map, a second picture or a video"
                .into(),
        );
        let lists = [&b"hdrgm"[..], b"photos/1.0/container", b"photos/1.0/camera"];
        let mentions = |xmp: &Vec<u8>| {
            lists.iter().any(|name| xmp.windows(name.len()).any(|window| window == *name))
        };
        if notes.xmp.as_ref().is_some_and(mentions) {
            notes.xmp = None;
            own.retain(|(_, body): &(u8, Vec<u8>)| !body.starts_with(MORE_XMP));
            notes.lost.push("XMP data, because they describe it".into());
        }
    }
    if !photoshop.is_empty() {
        notes.set_photoshop(&photoshop);
    }
    if frame_size(bytes).is_some_and(|[_, _, channels]| channels == 4) {
        notes.lost.push(INKS.into());
    }
    if !own.is_empty() {
        notes.own = Own::Jpeg(own);
    }
}

fn density(body: &[u8]) -> Option<Density> {
    let two = |at: usize| Some(f64::from(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?])));
    let (unit, x, y) = (*body.get(7)?, two(8)?, two(10)?);
    // Square pixels without a unit say nothing.
    let says = x > 0.0 && y > 0.0 && unit <= 2 && (unit > 0 || x != y);
    says.then_some(Density { unit, x, y })
}

/// The segments that stand after the first one of a file that is written. What does not fit is added to `lost`.
pub(super) fn write(notes: &Notes, lost: &mut Vec<String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |marker: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        bytes.extend([0xff, marker]);
        bytes.extend((body.len() as u16 + 2).to_be_bytes());
        bytes.extend(body);
    };
    if let Some(xmp) = &notes.xmp {
        match xmp.len() + XMP.len() <= MOST {
            true => add(0xe1, &[XMP, xmp]),
            false => lost.push("so much XMP data".into()),
        }
    }
    if let Some(photoshop) = &notes.photoshop {
        for part in photoshop.chunks(MOST - PHOTOSHOP.len()) {
            add(0xed, &[PHOTOSHOP, part]);
        }
    }
    if let Own::Jpeg(own) = &notes.own {
        own.iter().for_each(|(marker, body)| add(*marker, &[body]));
    }
    bytes
}
