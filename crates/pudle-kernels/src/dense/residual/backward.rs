//! A batch of vectors in residual form, backward.

use rayon::prelude::*;

use crate::banks::Banks;
use crate::dense::adjoint::{Adjoint, Layer};
use crate::dense::pass::{DatumTape, Pass};
use crate::dense::residual::batch::ResidualTape;
use crate::dense::residual::gradients::{
    DecoderPanel, ImagePanel, LayerCodes, Listed, OuterPanel, PanelSums,
};
use crate::dense::residual::lists::Lists;
use crate::dense::residual::matrix::{panels_of_task, transpose, width};
use crate::dense::residual::panel::Panel;
use crate::encoder::{Gradients, Wanted};
use crate::real::Real;

/// How many data a task takes into a layer, or out of it.
const DATA: usize = 8;

/// How many layers' outer products are added together.
const LAYERS: usize = 16;

impl<T: Real> ResidualTape<T> {
    /// [`DenseTape::backward`](crate::DenseTape::backward).
    pub fn backward(&self, error: &[T], code_error: Option<&[T]>, wanted: Wanted) -> Gradients<T> {
        let pass = &self.pass;
        let batch = pass.form.x.len() / pass.dim;
        let mut sums: Vec<PanelSums<T>> = (pass.form.synthesis.par_iter())
            .map(|panel| PanelSums::new(panel.len(), if wanted.data { batch } else { 0 }))
            .collect();
        let mut levels = vec![T::ZERO; pass.levels.len()];
        for (k, tapes) in self.groups.iter().enumerate() {
            let first = k * pass.form.group;
            let rows = self.group_backward(first, tapes, error, code_error, wanted, &mut sums);
            for (i, rows) in rows.iter().enumerate() {
                pass.levels.reduce(rows, first + i, &mut levels);
            }
        }
        let step = sums.iter().map(|sums| sums.step).sum();
        Gradients {
            banks: Banks::tied(self.atoms(&sums)),
            data: wanted.data.then(|| self.data(&sums)),
            levels: wanted.encoder.then_some(levels),
            step: wanted.encoder.then(|| T::from_f64(step)),
        }
    }

    /// Takes a group of data, from number `first` on, back through the decoder and the layers. Adds to the
    /// sums of the panels, and returns the gradient of the levels of each datum, `[T or 1, padded p]`.
    fn group_backward(
        &self,
        first: usize,
        tapes: &[DatumTape<T>],
        error: &[T],
        code_error: Option<&[T]>,
        wanted: Wanted,
        sums: &mut [PanelSums<T>],
    ) -> Vec<Vec<T>> {
        let pass = &self.pass;
        let Pass { dim, atoms, padded, step, arch, .. } = *pass;
        let part = first * dim..(first + tapes.len()) * dim;
        let (error, x) = (&error[part.clone()], &pass.form.x[part]);
        let rows = if wanted.encoder { pass.levels.layers() } else { 0 };
        let mut levels = vec![vec![T::ZERO; rows * padded]; tapes.len()];
        let mut data: Vec<Adjoint<T>> = tapes.iter().map(|_| Adjoint::new(&[], padded)).collect();

        for (datum, tape) in data.iter_mut().zip(tapes) {
            datum.enter_decoder(&tape.code);
        }
        let points = Lists::by_atom(padded, data.iter().map(|d| (d.union.get(), &d.point[..])));
        self.over_panels(sums, points.len(), |panel, sums| {
            arch.dispatch(DecoderPanel { panel, error, points: &points, sums });
        });
        if pass.schedule.recorded == 0 {
            return levels;
        }
        set_images(&mut data, &points, sums);
        for (i, datum) in data.iter_mut().enumerate() {
            datum.leave_decoder(code_error.map(|error| &error[(first + i) * atoms..][..atoms]));
        }

        let (mut forward, mut layers) = (None, Vec::new());
        for (k, segment) in pass.schedule.segments().into_iter().enumerate().rev() {
            let recomputed = pass.schedule.recompute.then(|| {
                let forward = forward.get_or_insert_with(|| pass.start(tapes.len()));
                pass.recompute(forward, first, tapes, k)
            });
            for t in segment.clone().rev() {
                let states = data.par_iter_mut().zip(&mut levels).enumerate();
                states.with_min_len(DATA).for_each(|(i, (datum, levels))| {
                    let codes = recomputed.as_ref().map_or(&tapes[i].segments[k], |all| &all[i]);
                    // Rows of a segment: z_{a−1}, z_a, z_{a+1}, …
                    let row = t + 1 - segment.start;
                    let layer = Layer { t, codes, row, start: codes.start(row) };
                    datum.enter(pass, layer);
                    if wanted.encoder {
                        datum.add_levels(pass, layer, levels);
                    }
                });
                let u = data.iter().map(|datum| (datum.next.get(), &datum.delta[..]));
                let y = data.iter().map(|datum| (datum.union.get(), &datum.point[..]));
                let (u, y) = (Listed::new(padded, u), Listed::new(padded, y));
                let (count, codes) = (tapes.len(), LayerCodes { u, y });
                self.over_panels(sums, codes.len(), |panel, sums| {
                    arch.dispatch(ImagePanel { panel, codes: &codes, count, sums });
                });
                set_images(&mut data, &codes.y.by_atom, sums);
                data.par_iter_mut().with_min_len(DATA).for_each(|datum| datum.leave(pass, t));
                layers.push(codes);
                if layers.len() == LAYERS || t == pass.schedule.first_recorded() {
                    let work = layers.iter().map(|codes| codes.len()).sum();
                    self.over_panels(sums, work, |panel, sums| {
                        let layers = &layers[..];
                        arch.dispatch(OuterPanel { panel, x, layers, first, step, sums });
                    });
                    layers.clear();
                }
            }
        }
        levels
    }

    /// Calls `work` for each panel of dimensions and its sums. A panel multiplies by `codes` numbers.
    fn over_panels(
        &self,
        sums: &mut [PanelSums<T>],
        codes: usize,
        work: impl Fn(Panel<'_, T>, &mut PanelSums<T>) + Sync,
    ) {
        let panels = self.pass.form.synthesis.par_iter().zip(sums).enumerate();
        panels.with_min_len(panels_of_task::<T>(codes, 1)).for_each(|(k, (numbers, sums))| {
            work(Panel { numbers, first: k * width::<T>(), dim: self.pass.dim }, sums);
        });
    }

    /// The gradient of the atoms, `[m, p]`.
    fn atoms(&self, sums: &[PanelSums<T>]) -> Vec<T> {
        let (atoms, width) = (self.pass.atoms, width::<T>());
        let mut out = vec![T::ZERO; self.pass.dim * atoms];
        out.par_chunks_mut(width * atoms).zip(sums).for_each(|(out, sums)| {
            transpose(&sums.atoms, width, out, atoms);
        });
        out
    }

    /// The gradient of the data, `[b, m]`.
    fn data(&self, sums: &[PanelSums<T>]) -> Vec<T> {
        let (dim, width) = (self.pass.dim, width::<T>());
        let mut out = vec![T::ZERO; self.pass.form.x.len()];
        for (i, row) in out.chunks_exact_mut(dim).enumerate() {
            for (out, sums) in row.chunks_mut(width).zip(sums) {
                let part = &sums.data[i * width..][..out.len()];
                out.iter_mut().zip(part).for_each(|(out, h)| *out = self.pass.step * *h);
            }
        }
        out
    }
}

/// Adds up the products of the panels, in order, and writes them to the data.
fn set_images<T: Real>(data: &mut [Adjoint<T>], points: &Lists<T>, sums: &[PanelSums<T>]) {
    let mut total = vec![T::ZERO; points.len()];
    for sums in sums {
        total.iter_mut().zip(&sums.images).for_each(|(total, part)| *total += *part);
    }
    for list in points.iter() {
        for ((i, _), image) in list.entries.iter().zip(&total[list.start..]) {
            data[*i as usize].image[list.head] = *image;
        }
    }
}
