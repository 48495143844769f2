//! The chunks of PNG files.

use std::io::{Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::ZlibDecoder;

use super::frames::Count;
use super::notes::{Density, Notes, Own};

const XMP: &[u8] = b"XML:com.adobe.xmp\0";
/// Most bytes of a chunk that is kept.
const MOST: u32 = 1 << 26;
/// An inch in metres.
const INCH: f64 = 0.0254;

/// What a PNG file says beside Exif data and colour profile. Returns its number of frames.
pub(super) fn read<R: Read + Seek>(mut file: R, notes: &mut Notes) -> std::io::Result<Count> {
    let length = file.seek(SeekFrom::End(0))?;
    let (mut at, mut frames) = (8, 0);
    // Whether the picture of a program that knows no animations is a frame of the animation.
    let mut first_is_frame = None;
    let mut own = Vec::new();
    loop {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        if file.read_exact(&mut head).is_err() {
            break;
        }
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let name = [head[4], head[5], head[6], head[7]];
        at += 12 + u64::from(size);
        if &name == b"IEND" {
            if length > at {
                notes.lost.push("what follows the picture in the file".into());
            }
            break;
        }
        if &name == b"IHDR" {
            let mut header = [0; 10];
            file.read_exact(&mut header)?;
            notes.set_stored(header[8].into(), header[9] == 3);
            continue;
        }
        match &name {
            b"fcTL" => first_is_frame = first_is_frame.or(Some(true)),
            b"IDAT" => first_is_frame = first_is_frame.or(Some(false)),
            _ => {}
        }
        let pixels = [b"PLTE", b"IDAT", b"fcTL", b"fdAT", b"iCCP", b"eXIf", b"tRNS"];
        if pixels.contains(&&name) {
            continue;
        }
        let shown = String::from_utf8_lossy(&name).into_owned();
        if !keeps(&name) && &name != b"acTL" {
            notes.lost.push(shown);
            continue;
        }
        if size > MOST || at > length {
            notes.lost.push(shown);
            continue;
        }
        let mut data = vec![0; size as usize];
        let mut sum = [0; 4];
        file.read_exact(&mut data)?;
        file.read_exact(&mut sum)?;
        if crc(&name, &data) != u32::from_be_bytes(sum) {
            notes.lost.push(format!("{shown}, which is damaged"));
            continue;
        }
        match &name {
            b"acTL" => {
                frames = data.get(..4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
            }
            b"pHYs" => notes.density = density(&data),
            b"iTXt" if data.starts_with(XMP) => match xmp(&data) {
                Some(xmp) => notes.xmp = Some(xmp),
                None => notes.lost.push("XMP data, which are damaged".into()),
            },
            _ => own.push((name, data)),
        }
    }
    if !own.is_empty() {
        notes.own = Own::Png(own);
    }
    Ok(Count { frames, apart: frames > 0 && first_is_frame == Some(false) })
}

/// Whether a chunk stays true if the pixels change.
fn keeps(name: &[u8; 4]) -> bool {
    const KNOWN: [&[u8; 4]; 16] = [
        b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"mDCv", b"cLLi", b"pHYs", b"tEXt",
        b"zTXt", b"iTXt", b"tIME", b"sTER", b"oFFs", b"sCAL",
    ];
    // A small fourth letter: safe to copy.
    KNOWN.contains(&name)
        || (name[0].is_ascii_lowercase() && name[3].is_ascii_lowercase() && name != b"sPLT")
}

fn crc(name: &[u8; 4], data: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(data);
    crc.sum()
}

fn density(data: &[u8]) -> Option<Density> {
    let four = |at: usize| {
        let bytes: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
        Some(f64::from(u32::from_be_bytes(bytes)))
    };
    let (x, y, metres) = (four(0)?, four(4)?, *data.get(8)? == 1);
    match metres {
        true => Some(Density { unit: 1, x: x * INCH, y: y * INCH }),
        false => Some(Density { unit: 0, x, y }),
    }
}

fn xmp(data: &[u8]) -> Option<Vec<u8>> {
    let rest = data.get(XMP.len()..)?;
    let packed = *rest.first()? == 1;
    let rest = rest.get(2..)?;
    let after = |bytes: &[u8]| bytes.iter().position(|&b| b == 0).map(|at| at + 1);
    let rest = &rest[after(rest)?..];
    let text = &rest[after(rest)?..];
    if !packed {
        return Some(text.to_vec());
    }
    let mut plain = Vec::new();
    ZlibDecoder::new(text).take(u64::from(MOST)).read_to_end(&mut plain).ok()?;
    Some(plain)
}

/// The chunks that stand after the first one of a file that is written.
pub(super) fn write(notes: &Notes) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |name: &[u8; 4], data: &[u8]| {
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(name);
        bytes.extend(data);
        bytes.extend(crc(name, data).to_be_bytes());
    };
    if let Own::Png(own) = &notes.own {
        own.iter().for_each(|(name, data)| add(name, data));
    }
    if let Some(Density { unit, x, y }) = notes.density {
        let scale = match unit {
            0 => 1.0,
            1 => 1.0 / INCH,
            _ => 100.0,
        };
        let number = |v: f64| ((v * scale).round() as u32).to_be_bytes();
        add(b"pHYs", &[&number(x)[..], &number(y), &[u8::from(unit > 0)]].concat());
    }
    if let Some(xmp) = &notes.xmp {
        add(b"iTXt", &[XMP, &[0, 0, 0, 0], xmp].concat());
    }
    bytes
}
