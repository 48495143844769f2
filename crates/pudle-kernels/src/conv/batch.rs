//! A batch of images, forward and backward.

use crate::aligned::Aligned;
use crate::conv::backward::add_banks;
use crate::conv::image::{Image, channels_first, rows_first};
use crate::conv::parallel::map_groups;
use crate::conv::pass::Pass;
use crate::conv::tape::ImageTape;
use crate::encoder::{Encoder, Gradients, Output, Wanted};
use crate::geometry::Geometry;
use crate::real::Real;
use crate::settings::Unrolling;
use crate::sparse::Sparse;

/// What the backward pass of a batch of images needs.
pub struct ConvTape<T> {
    pass: Pass<T>,
    images: Vec<ImageTape<T>>,
}

/// An image of a batch, and where its results go.
struct Datum<'a, T> {
    /// Number of the image.
    i: usize,
    x: &'a [T],
    code: &'a mut [T],
    reconstruction: &'a mut [T],
}

/// Runs a batch of images, `x` of shape `[b, C, H, W]`, and returns a tape for the backward pass if
/// `record` is set.
///
/// # Panics
/// Panics if a slice is not as long as the shapes say, or if an image is smaller than a filter.
pub fn conv_forward<T: Real>(
    geometry: Geometry,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<ConvTape<T>>) {
    let images = x.len() / geometry.pixels();
    let pass = Pass::new(geometry, encoder, unrolling, images);
    let positions: usize = geometry.positions().iter().product();
    let codes = images * geometry.atoms * positions;
    let mut numbers = vec![T::ZERO; codes + x.len()];
    let (code, reconstruction) = numbers.split_at_mut(codes);
    let data: Vec<_> = x
        .chunks_exact(geometry.pixels())
        .zip(code.chunks_exact_mut(geometry.atoms * positions))
        .zip(reconstruction.chunks_exact_mut(geometry.pixels()))
        .enumerate()
        .map(|(i, ((x, code), reconstruction))| Datum { i, x, code, reconstruction })
        .collect();
    let tapes = map_groups(data, |group: Vec<Datum<'_, T>>| {
        let mut state = pass.start();
        let mut run = |Datum { i, x, code, reconstruction }| {
            let rows = rows_first(&geometry, x);
            let image = Image { numbers: &rows, pitch: geometry.pitch(), start: 0 };
            let tape = pass.forward(&mut state, image, i, record);
            write_code(positions, &state.code, code);
            pass.decode(&state, |top, rows| channels_first(&geometry, top, rows, reconstruction));
            tape.map(|tape| ImageTape { x: rows.into_owned(), ..tape })
        };
        group.into_iter().map(&mut run).collect::<Vec<_>>()
    });
    let tapes = tapes.into_iter().flatten();
    let tape = tapes.collect::<Option<Vec<_>>>();
    (Output { numbers, codes }, tape.map(|images| ConvTape { pass, images }))
}

/// Writes a code, one part per strip, to zeros `[p, h, w]`, where `positions` is `h w`.
fn write_code<T: Real>(positions: usize, code: &[Sparse<T>], dense: &mut [T]) {
    let (mut index, mut first) = (code[0].index_buffer(), 0);
    for strip in code {
        let mut values = strip.values.iter();
        for i in 0..strip.rows() {
            let count = strip.row(i, &mut index);
            for (j, value) in index[..count].iter().zip(&mut values) {
                dense[*j as usize * positions + first + i] = *value;
            }
        }
        first += strip.rows();
    }
}

impl<T: Real> ConvTape<T> {
    /// The gradients of a loss with gradients `error` in the reconstruction, `[b, C, H, W]`, and
    /// `code_error` in the code, `[b, p, h, w]`.
    ///
    /// # Panics
    /// Panics if a slice is not as long as the shapes say.
    pub fn backward(&self, error: &[T], code_error: Option<&[T]>, wanted: Wanted) -> Gradients<T> {
        let pass = &self.pass;
        let geometry = &pass.geometry;
        let positions: usize = geometry.positions().iter().product();
        let code_length = geometry.atoms * positions;
        let groups = map_groups(self.images.iter().enumerate().collect(), |group: Vec<_>| {
            let mut work = pass.backward_work(wanted);
            let mut run = |(i, tape): (usize, &ImageTape<T>)| {
                let error = &error[i * geometry.pixels()..][..geometry.pixels()];
                let error = rows_first(geometry, error);
                let code_error = code_error.map(|all| &all[i * code_length..][..code_length]);
                let at = code_error.map(|error| move |j: usize, k: usize| error[j * positions + k]);
                pass.backward(&mut work, i, tape, &error, at.as_ref(), wanted)
            };
            let images: Vec<_> = group.into_iter().map(&mut run).collect();
            (images, pass.bank_gradients(work))
        });
        let (images, banks): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let images: Vec<_> = images.into_iter().flatten().collect();
        let mut data =
            vec![T::ZERO; if wanted.data { images.len() * geometry.pixels() } else { 0 }];
        let mut levels = vec![T::ZERO; pass.levels.len()];
        let mut step = 0.0;
        for (i, image) in images.iter().enumerate() {
            pass.levels.reduce(&image.levels, i, &mut levels);
            step += image.step;
            if wanted.data {
                let data = &mut data[i * geometry.pixels()..][..geometry.pixels()];
                channels_first(geometry, 0, &image.data, data);
            }
        }
        let banks = banks.into_iter().reduce(|mut total, banks| {
            add_banks(pass.arch, &banks, &mut total);
            total
        });
        let Some(banks) = banks else { return self.empty_gradients() };
        // The layout of filters is the same for all banks.
        let given = |rows: Aligned<T>| pass.banks.synthesis.to_channels_first(geometry, &rows);
        Gradients {
            banks: banks.map(given),
            data: wanted.data.then_some(data),
            levels: wanted.encoder.then_some(levels),
            step: wanted.encoder.then(|| T::from_f64(step)),
        }
    }

    /// The gradients of an empty batch.
    fn empty_gradients(&self) -> Gradients<T> {
        let Pass { geometry, levels, banks, .. } = &self.pass;
        Gradients {
            banks: banks.as_ref().map(|_| vec![T::ZERO; geometry.atoms * geometry.taps()]),
            data: Some(Vec::new()),
            levels: Some(vec![T::ZERO; levels.len()]),
            step: Some(T::ZERO),
        }
    }

    /// How many bytes the tape holds.
    pub fn bytes(&self) -> usize {
        self.images.iter().map(ImageTape::bytes).sum()
    }
}
