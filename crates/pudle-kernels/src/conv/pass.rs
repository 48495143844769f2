//! A batch of images through the layers and back.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::conv::backward::{Tape, add};
use crate::conv::filters::Filters;
use crate::conv::forward::{Network, State, Trace, View};
use crate::encoder::{Encoder, Gradients, Output, Wanted};
use crate::geometry::Geometry;
use crate::real::Real;
use crate::settings::{Layers, Unrolling};
use crate::support::Sparse;

/// What the backward pass of a batch of images needs.
pub struct ConvTape<T> {
    network: Network<T>,
    images: Vec<Tape<T>>,
}

/// One of a batch.
struct Image<'a, T> {
    i: usize,
    x: &'a [T],
    code: &'a mut [T],
    reconstruction: &'a mut [T],
}

/// Runs a batch of images, `x` of shape `[b, C, H, W]`, and keeps what the backward pass needs if
/// `record` is set.
///
/// # Panics
/// Where slices are not as long as the shapes say, or an image is smaller than a filter.
pub fn conv_forward<T: Real>(
    geometry: Geometry,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<ConvTape<T>>) {
    let images = x.len() / geometry.pixels();
    let network = Network::new(geometry, encoder, Layers::new(unrolling), images);
    let positions: usize = geometry.positions().iter().product();
    let codes = images * geometry.atoms * positions;
    let mut numbers = vec![T::ZERO; codes + x.len()];
    let (code, reconstruction) = numbers.split_at_mut(codes);
    let images: Vec<_> = x
        .chunks_exact(geometry.pixels())
        .zip(code.chunks_exact_mut(geometry.atoms * positions))
        .zip(reconstruction.chunks_exact_mut(geometry.pixels()))
        .enumerate()
        .map(|(i, ((x, code), reconstruction))| Image { i, x, code, reconstruction })
        .collect();
    let run = |Image { i, x, code, reconstruction }: Image<'_, T>| {
        let rows = rows_first(&geometry, x);
        let (state, tape) = run_image(&network, &rows, i, record);
        write_code(&network, &state.code, code);
        network.decode(&state, |top, part| {
            channels_first(&geometry, top, part, reconstruction);
        });
        tape.map(|tape| Tape { x: rows.into_owned(), ..tape })
    };
    let tapes = map(images, run);
    let tape = tapes.into_iter().collect::<Option<Vec<_>>>();
    (Output { numbers, codes }, tape.map(|images| ConvTape { network, images }))
}

/// Windows of an image, and the part of it for which their reconstructions are averaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftWindows {
    /// First pixel of each window, down and across.
    pub starts: Vec<[usize; 2]>,
    /// First pixel of the part, down and across.
    pub origin: [usize; 2],
    /// Height and width of the part.
    pub size: [usize; 2],
}

/// The mean of reconstructions of an image `[C, H, W]`, of `extent` `[H, W]`, under shifts of the grid of atoms: of
/// the reconstructions of its windows, which have the shape of `geometry`, each moved back to its place. Returned are
/// the `[C, h, w]` pixels of the part that `windows` names.
///
/// # Panics
/// Panics if a window does not lie in the image, or if the part does not lie in each window.
pub fn conv_shifts<T: Real>(
    geometry: Geometry,
    x: &[T],
    extent: [usize; 2],
    windows: &ShiftWindows,
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
) -> Vec<T> {
    let ShiftWindows { starts, origin, size } = windows;
    let layers = Layers::new(Unrolling { recorded: 0, ..unrolling });
    let network = Network::new(geometry, encoder, layers, 1);
    let whole = Geometry { height: extent[0], width: extent[1], ..geometry };
    let rows = rows_first(&whole, x);
    let mut sum = vec![T::ZERO; geometry.channels * size[0] * size[1]];
    let mut state = network.start();
    rayon::scope(|_| {
        starts.iter().for_each(|start| {
            let view = View {
                numbers: &rows,
                pitch: whole.pitch(),
                start: start[0] * whole.pitch() + start[1],
            };
            network.reset(&mut state);
            network.run(&mut state, view, 0, 0..unrolling.layers, None);
            let [down, across] = [origin[0] - start[0], origin[1] - start[1]];
            network.decode(&state, |top, part| {
                for (k, row) in part.chunks_exact(geometry.width).enumerate() {
                    let (y, channel) = (top + k / geometry.channels, k % geometry.channels);
                    let Some(y) = y.checked_sub(down).filter(|y| *y < size[0]) else { continue };
                    let to = &mut sum[(channel * size[0] + y) * size[1]..][..size[1]];
                    for (to, from) in to.iter_mut().zip(&row[across..][..size[1]]) {
                        *to += *from;
                    }
                }
            });
        })
    });
    let share = T::ONE / T::from_f64(starts.len() as f64);
    sum.iter_mut().for_each(|pixel| *pixel = *pixel * share);
    sum
}

impl<T: Real> ConvTape<T> {
    /// The gradients of a loss with gradients `error` in the reconstruction, `[b, C, H, W]`, and
    /// `code_error` in the code, `[b, p, h, w]`.
    ///
    /// # Panics
    /// Where slices are not as long as the shapes say.
    pub fn backward(&self, error: &[T], code_error: Option<&[T]>, wanted: Wanted) -> Gradients<T> {
        let network = &self.network;
        let geometry = &network.geometry;
        let positions: usize = geometry.positions().iter().product();
        let code_length = geometry.atoms * positions;
        let run = |(i, tape): (usize, &Tape<T>)| {
            let error = rows_first(geometry, &error[i * geometry.pixels()..][..geometry.pixels()]);
            let code_error = code_error.map(|all| &all[i * code_length..][..code_length]);
            let at = code_error.map(|error| move |j: usize, k: usize| error[j * positions + k]);
            network.backward(i, tape, &error, at.as_ref(), wanted)
        };
        let images = map(self.images.iter().enumerate().collect(), run);
        let mut data =
            vec![T::ZERO; if wanted.data { images.len() * geometry.pixels() } else { 0 }];
        let mut levels = vec![T::ZERO; network.levels.len()];
        let mut step = 0.0;
        for (i, image) in images.iter().enumerate() {
            network.levels.reduce(&image.levels, i, &mut levels);
            step += image.step;
            if wanted.data {
                let data = &mut data[i * geometry.pixels()..][..geometry.pixels()];
                channels_first(geometry, 0, &image.data, data);
            }
        }
        let mut images = images.into_iter();
        let banks = match images.next() {
            None => return self.nothing(),
            Some(first) => images.fold(first.filters, |mut total, image| {
                for (bank, total) in image.filters.iter().zip(&mut total) {
                    add(network.arch, bank, total);
                }
                total
            }),
        };
        let given = |(bank, rows): (&Filters<T>, &Aligned<T>)| bank.given_order(geometry, rows);
        let banks = network.banks().iter().zip(&banks).map(given).collect();
        Gradients {
            banks: network.by_name(banks),
            data: wanted.data.then_some(data),
            levels: wanted.encoder.then_some(levels),
            step: wanted.encoder.then(|| T::from_f64(step)),
        }
    }

    /// The gradients of an empty batch.
    fn nothing(&self) -> Gradients<T> {
        let network = &self.network;
        let Network { geometry, levels, .. } = network;
        let bank = vec![T::ZERO; geometry.atoms * geometry.taps()];
        Gradients {
            banks: network.by_name(vec![bank; network.banks().len()]),
            data: Some(Vec::new()),
            levels: Some(vec![T::ZERO; levels.len()]),
            step: Some(T::ZERO),
        }
    }

    /// Bytes that the backward pass is kept in.
    pub fn bytes(&self) -> usize {
        self.images.iter().map(Tape::bytes).sum()
    }
}

/// Runs a task per image, all on the threads of the pool: a caller that is none of them would be woken
/// after every layer.
fn map<I: Send, R: Send>(images: Vec<I>, task: impl Fn(I) -> R + Sync + Send) -> Vec<R> {
    rayon::scope(|_| match images.len() {
        1 => images.into_iter().map(task).collect(),
        _ => images.into_par_iter().with_max_len(1).map(task).collect(),
    })
}

fn run_image<T: Real>(
    network: &Network<T>,
    x: &[T],
    i: usize,
    record: bool,
) -> (State<T>, Option<Tape<T>>) {
    let layers = &network.layers;
    let view = View { numbers: x, pitch: network.geometry.pitch(), start: 0 };
    let mut state = network.start();
    if !record {
        network.run(&mut state, view, i, 0..layers.count, None);
        return (state, None);
    }
    network.run(&mut state, view, i, 0..layers.first_recorded(), None);
    let mut trace = (!layers.recompute).then(Trace::default);
    let mut starts = Vec::new();
    for segment in layers.segments() {
        let before = if layers.extrapolates() { state.before.clone() } else { Vec::new() };
        starts.push([state.code.clone(), before]);
        network.run(&mut state, view, i, segment, trace.as_mut());
    }
    let code = state.code.clone();
    (state, Some(Tape { x: Vec::new(), code, starts, trace }))
}

/// The code of a state as `[p, h, w]`.
fn write_code<T: Real>(network: &Network<T>, code: &[Sparse<T>], dense: &mut [T]) {
    let positions: usize = network.geometry.positions().iter().product();
    let (mut index, mut first) = (code[0].room(), 0);
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

/// An image `[C, H, W]` as `[H, C, W]`.
fn rows_first<'a, T: Real>(geometry: &Geometry, image: &'a [T]) -> Cow<'a, [T]> {
    if geometry.channels == 1 {
        return Cow::Borrowed(image);
    }
    let Geometry { channels, height, width, .. } = *geometry;
    let mut rows = Vec::with_capacity(image.len());
    for y in 0..height {
        for channel in 0..channels {
            rows.extend_from_slice(&image[(channel * height + y) * width..][..width]);
        }
    }
    Cow::Owned(rows)
}

/// Writes rows `[·, C, W]` that start at row `top` into an image `[C, H, W]`.
fn channels_first<T: Real>(geometry: &Geometry, top: usize, rows: &[T], image: &mut [T]) {
    let Geometry { channels, height, width, .. } = *geometry;
    for (k, row) in rows.chunks_exact(width).enumerate() {
        let start = (k % channels * height + top + k / channels) * width;
        image[start..][..width].copy_from_slice(row);
    }
}
