//! The mean over shifts of the grid of atoms.

use crate::conv::image::{Image, rows_first};
use crate::conv::linear::reordered;
use crate::conv::pass::Pass;
use crate::encoder::Encoder;
use crate::geometry::Geometry;
use crate::real::Real;
use crate::settings::Unrolling;

/// The shifted parts of an image, and the window of their mean that is wanted. All entries are rows and
/// columns of pixels of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftWindows {
    /// First pixel of each part.
    pub starts: Vec<[usize; 2]>,
    /// First pixel of the wanted window.
    pub origin: [usize; 2],
    /// Size of the wanted window.
    pub size: [usize; 2],
}

/// The mean of reconstructions of an image under shifts of the grid of atoms.
///
/// `x` is an image `[C, H, W]` with `[H, W] = extent`, which is larger than the wanted window, so that
/// every shifted part covers it. `geometry` is that of a part. Returns the mean of the parts'
/// reconstructions in the wanted window, `[C, h, w]`.
///
/// # Panics
/// Panics if a part does not lie in the image, or if the wanted window does not lie in each part.
pub fn conv_shifts<T: Real>(
    geometry: Geometry,
    x: &[T],
    extent: [usize; 2],
    shifts: &ShiftWindows,
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
) -> Vec<T> {
    let ShiftWindows { starts, origin, size } = shifts;
    let pass = match reordered(&geometry, encoder, unrolling) {
        Some((reordered, linear)) => {
            let pass = Pass::new(geometry, reordered.encoder(), unrolling, 1);
            Pass { linear: Some(linear), ..pass }
        }
        None => Pass::new(geometry, encoder, unrolling, 1),
    };
    let whole = Geometry { height: extent[0], width: extent[1], ..geometry };
    let rows = rows_first(&whole, x);
    let mut sum = vec![T::ZERO; geometry.channels * size[0] * size[1]];
    // On a thread of the pool: a caller outside it would be woken after every layer.
    rayon::scope(|_| {
        let mut state = pass.start();
        for (k, start) in starts.iter().enumerate() {
            let part = Image {
                numbers: &rows,
                pitch: whole.pitch(),
                start: start[0] * whole.pitch() + start[1],
            };
            if k > 0 {
                pass.reset(&mut state);
            }
            pass.run(&mut state, part, 0, 0..unrolling.layers, None);
            let [down, across] = [origin[0] - start[0], origin[1] - start[1]];
            pass.decode(&state, |top, rows| {
                for (k, row) in rows.chunks_exact(geometry.width).enumerate() {
                    let (y, channel) = (top + k / geometry.channels, k % geometry.channels);
                    let Some(y) = y.checked_sub(down).filter(|y| *y < size[0]) else { continue };
                    let to = &mut sum[(channel * size[0] + y) * size[1]..][..size[1]];
                    for (to, from) in to.iter_mut().zip(&row[across..][..size[1]]) {
                        *to += *from;
                    }
                }
            });
        }
    });
    let share = T::ONE / T::from_f64(starts.len() as f64);
    sum.iter_mut().for_each(|pixel| *pixel = *pixel * share);
    sum
}
