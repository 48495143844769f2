//! The data of Photoshop, which hold IPTC data.

/// Photoshop's data without small copies of the picture, and whether there were any. `None` if the data are damaged.
pub(super) fn without_thumbnails(data: &[u8]) -> Option<(Vec<u8>, bool)> {
    let (mut kept, mut dropped, mut at) = (Vec::new(), false, 0);
    while at < data.len() {
        if data[at..].iter().all(|&b| b == 0) {
            break;
        }
        let rest = &data[at..];
        let id = u16::from_be_bytes([*rest.get(4)?, *rest.get(5)?]);
        let name = (usize::from(*rest.get(6)?) + 2) & !1;
        let length = rest.get(6 + name..10 + name)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let end = (10 + name).checked_add(length)?;
        let whole = rest.get(..end)?;
        if matches!(id, 0x0409 | 0x040c) {
            dropped = true;
        } else {
            kept.extend(whole);
            if length % 2 == 1 {
                kept.push(0);
            }
        }
        at += end + length % 2;
    }
    Some((kept, dropped))
}
