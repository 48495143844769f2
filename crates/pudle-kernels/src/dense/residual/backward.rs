//! A batch of vectors in residual form, backward.

use rayon::prelude::*;

use crate::banks::Banks;
use crate::dense::adjoint::Layer;
use crate::dense::pass::DatumTape;
use crate::dense::residual::batch::ResidualTape;
use crate::dense::residual::datum::Datum;
use crate::dense::residual::matrix::{panels_of_task, rows_of_task, transpose, width};
use crate::dense::residual::panel::{DecoderPanel, LayerPanel, Panel, PanelSums};
use crate::encoder::{Gradients, Wanted};
use crate::real::Real;

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
            let data = self.group_backward(first, tapes, error, code_error, wanted, &mut sums);
            for (i, datum) in data.iter().enumerate() {
                pass.levels.reduce(&datum.levels, first + i, &mut levels);
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

    /// Takes a group of data, from number `first` on, back through the decoder and the layers. The sums
    /// over panels are added to `sums`, and those of a datum are returned.
    fn group_backward(
        &self,
        first: usize,
        tapes: &[DatumTape<T>],
        error: &[T],
        code_error: Option<&[T]>,
        wanted: Wanted,
        sums: &mut [PanelSums<T>],
    ) -> Vec<Datum<T>> {
        let pass = &self.pass;
        let (at_once, step, x) = (rows_of_task(pass.padded), pass.step, &pass.form.x[..]);
        let rows = if wanted.encoder { pass.levels.layers() } else { 0 };
        let mut data: Vec<Datum<T>> = tapes
            .par_iter()
            .with_min_len(at_once)
            .map(|tape| Datum::new(&tape.code, pass.padded, rows))
            .collect();
        self.over_panels(&mut data, sums, |panel, data, sums| {
            pass.arch.dispatch(DecoderPanel { panel, data, error, first, sums });
        });
        if pass.schedule.recorded == 0 {
            return data;
        }
        data.par_iter_mut().enumerate().with_min_len(at_once).for_each(|(i, datum)| {
            let direct = code_error.map(|error| &error[(first + i) * pass.atoms..][..pass.atoms]);
            datum.gather(sums.iter().map(|sums| &sums.images[..]));
            datum.adjoint.leave_decoder(direct);
        });
        let mut forward = None;
        for (k, segment) in pass.schedule.segments().into_iter().enumerate().rev() {
            let recomputed = pass.schedule.recompute.then(|| {
                let forward = forward.get_or_insert_with(|| pass.start(tapes.len()));
                pass.recompute(forward, first, tapes, k)
            });
            for t in segment.clone().rev() {
                data.par_iter_mut().enumerate().with_min_len(at_once).for_each(|(i, datum)| {
                    let codes = recomputed.as_ref().map_or(&tapes[i].segments[k], |all| &all[i]);
                    // Rows of a segment: z_{a−1}, z_a, z_{a+1}, …
                    let row = t + 1 - segment.start;
                    let layer = Layer { t, codes, row, start: codes.start(row) };
                    datum.adjoint.enter(pass, layer);
                    if wanted.encoder {
                        datum.adjoint.add_levels(pass, layer, &mut datum.levels);
                    }
                });
                self.over_panels(&mut data, sums, |panel, data, sums| {
                    pass.arch.dispatch(LayerPanel { panel, data, x, first, step, sums });
                });
                data.par_iter_mut().with_min_len(at_once).for_each(|datum| {
                    datum.gather(sums.iter().map(|sums| &sums.images[..]));
                    datum.adjoint.leave(pass, t);
                });
            }
        }
        data
    }

    /// Calls `work` for each panel of dimensions and its sums.
    fn over_panels(
        &self,
        data: &mut [Datum<T>],
        sums: &mut [PanelSums<T>],
        work: impl Fn(Panel<'_, T>, &[Datum<T>], &mut PanelSums<T>) + Sync,
    ) {
        let mut place = 0;
        for datum in data.iter_mut() {
            datum.place = place;
            place += datum.adjoint.union.get().len();
        }
        let (data, dim) = (&*data, self.pass.dim);
        let at_once = panels_of_task::<T>(place.max(1), 1);
        (self.pass.form.synthesis.par_iter().zip(sums).enumerate()).with_min_len(at_once).for_each(
            |(k, (numbers, sums))| {
                let panel = Panel { numbers, first: k * width::<T>(), dim };
                work(panel, data, sums);
            },
        );
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
