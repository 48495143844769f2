//! Small pictures for figures and pages.

use pudle_data::{Image, Raster};
use pudle_plot::{Tile, Tone};

use crate::error::Result;

/// The window of `side` pixels at a corner, with `margin` pixels around it, moved inwards at the border of the picture.
pub(crate) fn cut(image: &Image, [top, left]: [usize; 2], side: usize, margin: usize) -> Image {
    let side = (side + 2 * margin).min(image.height).min(image.width);
    let top = top.saturating_sub(margin).min(image.height - side);
    let left = left.saturating_sub(margin).min(image.width - side);
    image.window(top, left, side, side)
}

/// A patch, framed, with as many pixels around it on every side.
pub(crate) fn surroundings(image: &Image, corner: [usize; 2], side: usize) -> Image {
    let part = cut(image, corner, side, side);
    let first =
        |place: usize, length: usize| place - place.saturating_sub(side).min(length - part.height);
    boxed(&part.clip(), [first(corner[0], image.height), first(corner[1], image.width)], side)
}

/// The picture with every pixel `factor` pixels wide and high.
pub(crate) fn enlarged(image: &Image, factor: usize) -> Image {
    let (height, width) = (image.height, image.width);
    Image::from_fn(image.channels, height * factor, width * factor, |c, y, x| {
        image.data[(c * height + y / factor) * width + x / factor]
    })
}

/// Values of either sign as a picture: zero is mid-grey, the largest magnitude black or white.
pub(crate) fn signed(values: &[f32], [channels, height, width]: [usize; 3]) -> Image {
    let most = values.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
    Image::from_fn(channels, height, width, |c, y, x| {
        0.5 + 0.5 * values[(c * height + y) * width + x] / most
    })
}

/// The picture with a dashed frame, black and white, on the pixels next to a square of it.
pub(crate) fn boxed(image: &Image, [top, left]: [usize; 2], side: usize) -> Image {
    let mut framed = image.clone();
    let mut paint = |y: isize, x: isize, shade: f32| {
        let inside =
            (0..image.height as isize).contains(&y) && (0..image.width as isize).contains(&x);
        if inside {
            for c in 0..image.channels {
                framed.data[(c * image.height + y as usize) * image.width + x as usize] = shade;
            }
        }
    };
    let (top, left, side) = (top as isize, left as isize, side as isize);
    for along in -1..=side {
        for (y, x) in [
            (top - 1, left + along),
            (top + side, left + along),
            (top + along, left - 1),
            (top + along, left + side),
        ] {
            // Dashes of both shades are visible on any background.
            paint(y, x, if (along + 1) / 2 % 2 == 0 { 1.0 } else { 0.0 });
        }
    }
    framed
}

/// A tile for a sheet, of about `side` pixels.
pub(crate) fn tile(
    image: &Image,
    side: usize,
    caption: impl IntoIterator<Item = String>,
    tone: Tone,
) -> Result<Tile> {
    let factor = (side / image.height.max(image.width)).max(1);
    let png = enlarged(&image.clip(), factor).to_png()?;
    Ok(Tile { png, caption: caption.into_iter().collect(), tone })
}

/// Pictures of one shape side by side, `columns` of them in a row, in one picture.
pub(crate) fn sprite(tiles: &[Image], columns: usize) -> Image {
    let first = tiles.first().map_or([1, 1, 1], |tile| [tile.channels, tile.height, tile.width]);
    let [channels, height, width] = first;
    let rows = tiles.len().div_ceil(columns).max(1);
    Image::from_fn(channels, rows * height, columns * width, |c, y, x| {
        let k = y / height * columns + x / width;
        tiles.get(k).map_or(0.0, |tile| {
            tile.data[(c * height + y % height) * width + x % width].clamp(0.0, 1.0)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_stays_within() {
        let image = Image::from_fn(1, 20, 30, |_, y, x| (y * 30 + x) as f32);
        let part = cut(&image, [0, 25], 4, 3);
        assert_eq!(part.shape(), [1, 10, 10]);
        assert_eq!(part.data[0], 20.0);
    }

    #[test]
    fn a_sprite_holds_its_tiles_in_order() {
        let tiles: Vec<Image> =
            (0..3).map(|k| Image::from_fn(1, 2, 2, |_, _, _| k as f32 / 4.0)).collect();
        let sprite = sprite(&tiles, 2);
        assert_eq!((sprite.height, sprite.width), (4, 4));
        assert_eq!(sprite.data[3], 0.25);
        assert_eq!(sprite.data[2 * 4], 0.5);
        let large = enlarged(&tiles[1], 3);
        assert_eq!((large.height, large.data[35]), (6, 0.25));
        let shown = signed(&[-2.0, 0.0, 1.0, 2.0], [1, 2, 2]);
        assert_eq!(shown.data, [0.0, 0.5, 0.75, 1.0]);
    }
}
