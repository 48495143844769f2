//! A convolutional pass without its data.

use pulp::Arch;

use crate::aligned::{Aligned, zeros};
use crate::banks::Banks;
use crate::conv::filters::Filters;
use crate::conv::linear::Linear;
use crate::conv::parallel::map_each;
use crate::encoder::Encoder;
use crate::geometry::{Geometry, Strip};
use crate::levels::Levels;
use crate::real::Real;
use crate::schedule::Schedule;
use crate::settings::Unrolling;
use crate::sparse::Sparse;
use crate::vector::AddScaled;

/// Everything about a pass but its data.
pub(crate) struct Pass<T> {
    pub geometry: Geometry,
    pub strips: Vec<Strip>,
    pub banks: Banks<Filters<T>>,
    /// Where patches start in the window of the highest strip. A lower strip uses the first of these.
    pub bases: Vec<usize>,
    /// Step size `α`.
    pub step: T,
    pub levels: Levels<T>,
    pub schedule: Schedule,
    /// Which atoms are linear in the first layers, if this is made use of.
    pub linear: Option<Linear<T>>,
    /// Whether the strips of an image run side by side.
    pub split_images: bool,
    pub arch: Arch,
}

impl<T: Real> Pass<T> {
    /// Lays out the numbers of an encoder for a batch of `images` images.
    pub fn new(
        geometry: Geometry,
        encoder: Encoder<'_, T>,
        unrolling: Unrolling,
        images: usize,
    ) -> Self {
        let strips = geometry.strips();
        let banks = encoder.banks.map(|bank| {
            assert_eq!(
                bank.len(),
                geometry.atoms * geometry.taps(),
                "weights of a bank of filters"
            );
            Filters::new(&geometry, bank)
        });
        let padded = banks.synthesis.padded_atoms;
        let levels = Levels::new(encoder.levels, encoder.level_shape, geometry.atoms, padded);
        Self {
            bases: geometry.bases(&strips[0]),
            strips,
            banks,
            step: encoder.step,
            levels,
            schedule: Schedule::new(unrolling),
            linear: None,
            split_images: images < 2 * rayon::current_num_threads(),
            arch: Arch::new(),
            geometry,
        }
    }

    /// Atoms of a bank, padded.
    pub fn padded_atoms(&self) -> usize {
        self.banks.synthesis.padded_atoms
    }

    /// Positions of a strip.
    pub fn positions(&self, strip: &Strip) -> usize {
        strip.rows * self.geometry.positions()[1]
    }

    /// Where the patches of a strip start in its window.
    pub fn bases(&self, strip: &Strip) -> &[usize] {
        &self.bases[..self.positions(strip)]
    }

    /// The results of `make` for all strips. Threads that work on strips also lay out their memory.
    pub fn each_strip<R: Send>(&self, make: impl Fn(&Strip) -> R + Send + Sync) -> Vec<R> {
        map_each(self.split_images, &self.strips, make)
    }

    /// Zeros for the windows of all strips.
    pub fn windows(&self) -> Vec<Aligned<T>> {
        self.each_strip(|strip| zeros(strip.window * self.geometry.pitch()))
    }

    /// Zeros for a code of all strips, `[positions, padded atoms]` each.
    pub fn dense_codes(&self) -> Vec<Aligned<T>> {
        let padded = self.padded_atoms();
        self.each_strip(|strip| zeros(self.positions(strip) * padded))
    }

    /// A code of all strips without support.
    pub fn sparse_codes(&self) -> Vec<Sparse<T>> {
        let padded = self.padded_atoms();
        self.strips.iter().map(|strip| Sparse::zeros(self.positions(strip), padded)).collect()
    }

    /// Adds `factor` times the windows of strip `k` and of its neighbours to `sum`, which lies where the
    /// window of strip `k` does.
    pub fn assemble(&self, k: usize, factor: T, windows: &[Aligned<T>], sum: &mut [T]) {
        let pitch = self.geometry.pitch();
        let mut add = |from: &[T], start: usize| {
            let to = &mut sum[start..];
            let length = to.len().min(from.len());
            self.arch.dispatch(AddScaled { factor, from: &from[..length], to: &mut to[..length] });
        };
        add(&windows[k], 0);
        if let Some(before) = k.checked_sub(1) {
            let reach = self.strips[k].top - self.strips[before].top;
            add(windows[before].get(reach * pitch..).unwrap_or_default(), 0);
        }
        if let Some(after) = windows.get(k + 1) {
            add(after, self.strips[k].owned * pitch);
        }
    }
}
