//! A picture of the atoms.

use pudle_core::{AnyPudle, DictionaryConfig};
use pudle_data::Image;

use crate::error::Result;

/// Least side of a tile in pixels. Small atoms are enlarged to it.
const SMALLEST_TILE: usize = 36;

/// A picture with a tile for each atom, in order. Each atom is scaled by its largest absolute value, and zero is
/// mid-grey.
///
/// A 2D filter with three channels is drawn in colour. Other 2D filters have their channels below each other. An atom of
/// a dense dictionary is drawn as a square if its dimension is a square number, otherwise as a column. A 1D filter
/// has a row for each channel.
///
/// # Errors
/// Returns an error if the picture cannot be created, which does not happen for a valid model.
pub fn atoms_picture(model: &AnyPudle) -> Result<Image> {
    let (values, config) = (model.atoms(), model.config());
    // Number of atoms, and channels, rows and columns of a tile.
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
        // Channels that are not colours are drawn below each other.
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
