//! The chunks of WebP files.

use std::io::{Read, Seek, SeekFrom};

use super::frames::Count;
use super::notes::Notes;

/// Most bytes of XMP data.
const MOST: u32 = 1 << 26;

/// What a WebP file says beside Exif data and colour profile. Returns its number of frames.
pub(super) fn read<R: Read + Seek>(mut file: R, notes: &mut Notes) -> std::io::Result<Count> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(4))?;
    let mut four = [0; 4];
    file.read_exact(&mut four)?;
    let end = (8 + u64::from(u32::from_le_bytes(four))).min(length);
    let (mut at, mut frames) = (12, 0);
    while at + 8 <= end {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        at += 8 + u64::from(size) + u64::from(size % 2);
        match &head[..4] {
            b"ANMF" => frames += 1,
            b"XMP " if size <= MOST && at <= length + 1 => {
                let mut xmp = vec![0; size as usize];
                file.read_exact(&mut xmp)?;
                notes.xmp = Some(xmp);
            }
            b"VP8 " | b"VP8L" | b"VP8X" | b"ALPH" | b"ANIM" | b"ICCP" | b"EXIF" => {}
            name => notes
                .lost
                .push(format!("the chunk {}", String::from_utf8_lossy(name).escape_default())),
        }
    }
    if length > end + 1 {
        notes.lost.push("what follows the picture in the file".into());
    }
    Ok(Count { frames, apart: false })
}
