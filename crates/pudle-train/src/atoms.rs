//! The atoms as a picture.

use pudle_core::{AnyPudle, DictionaryConfig};
use pudle_data::Image;

use crate::error::Result;

/// Pixels per weight, at least, for small filters to be seen.
const SMALLEST_TILE: usize = 36;

/// All atoms as tiles of one picture, in order, each scaled to its own extremes (symmetrically, so
/// that zero is mid-grey).
///
/// Filters show as they are, in colour where they have three channels; the atoms of a dense
/// dictionary as squares where their dimension is a square, else as single columns; atoms over
/// signals as one row per channel.
///
/// # Errors
/// Never in practice: the picture has the shape of its tiles.
pub fn atoms_picture(model: &AnyPudle) -> Result<Image> {
    let (values, config) = (model.atoms(), model.config());
    // Channels, rows and columns of a tile, and where its value (c, y, x) of atom j stands.
    let (count, [channels, rows, columns]) = match config.dictionary {
        DictionaryConfig::Dense(dense) => {
            let side = dense.dim.isqrt();
            let tile = if side * side == dense.dim { [1, side, side] } else { [1, dense.dim, 1] };
            (dense.atoms, tile)
        }
        DictionaryConfig::Conv1d(conv) => (conv.atoms, [1, conv.channels, conv.size]),
        DictionaryConfig::Conv2d(conv) if conv.channels == 3 => {
            (conv.atoms, [3, conv.size, conv.size])
        }
        // Channels that are no colours stand below each other.
        DictionaryConfig::Conv2d(conv) => (conv.atoms, [1, conv.channels * conv.size, conv.size]),
    };
    let dense = config.dictionary.stride().is_none();
    let size = channels * rows * columns;
    let value = |j: usize, i: usize| {
        if dense { values[i * count + j] } else { values[j * size + i] }
    };
    let scale: Vec<f32> = (0..count)
        .map(|j| (0..size).fold(f32::MIN_POSITIVE, |most, i| most.max(value(j, i).abs())))
        .collect();
    let zoom = SMALLEST_TILE.div_ceil(rows.max(columns)).max(1);
    let per_row = ((count * rows) as f64 / columns as f64).sqrt().ceil().max(1.0) as usize;
    let per_row = per_row.min(count);
    let (tile_height, tile_width) = (rows * zoom + 2, columns * zoom + 2);
    let (height, width) = (count.div_ceil(per_row) * tile_height + 2, per_row * tile_width + 2);
    Ok(Image::from_fn(channels, height, width, |c, y, x| {
        let (y, x) = (y as isize - 2, x as isize - 2);
        if y < 0 || x < 0 {
            return 1.0;
        }
        let (y, x) = (y as usize, x as usize);
        let (row, column) = (y / tile_height, x / tile_width);
        let (y, x) = (y % tile_height, x % tile_width);
        let j = row * per_row + column;
        if j >= count || y >= rows * zoom || x >= columns * zoom {
            return 1.0;
        }
        let i = (c * rows + y / zoom) * columns + x / zoom;
        0.5 + 0.5 * value(j, i) / scale[j]
    }))
}
