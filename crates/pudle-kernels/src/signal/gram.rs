//! Correlations of atoms.

use pulp::{Arch, Simd, WithSimd};

use super::layout::Layout;
use crate::aligned::{Aligned, zeros};
use crate::real::Real;

/// The correlations `Σ a_l[s] d_j[s + δ]` of the atoms `a_l` of the analysis and `d_j` of the synthesis at all lags
/// `|δ| < k`, over all channels.
pub(super) struct Gram<T> {
    /// `[j, l, reach]`, from lag `−(k − 1)` on.
    values: Aligned<T>,
    reach: usize,
    atoms: usize,
}

impl<T: Real> Gram<T> {
    pub fn new(arch: Arch, layout: &Layout, analysis: &[T], synthesis: &[T]) -> Self {
        let Layout { atoms, reach, .. } = *layout;
        let mut values = zeros(atoms * atoms * reach);
        arch.dispatch(Correlations { layout: *layout, analysis, synthesis, values: &mut values });
        Self { values, reach, atoms }
    }

    /// The correlations of synthesis atom `j` with every analysis atom.
    #[inline(always)]
    pub fn of(&self, j: usize) -> std::slice::ChunksExact<'_, T> {
        let size = self.atoms * self.reach;
        self.values[j * size..][..size].chunks_exact(self.reach)
    }
}

struct Correlations<'a, T> {
    layout: Layout,
    analysis: &'a [T],
    synthesis: &'a [T],
    values: &'a mut [T],
}

impl<T: Real> WithSimd for Correlations<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layout { atoms, channels, taps, reach, .. } = self.layout;
        let size = channels * taps;
        for (pair, row) in self.values.chunks_exact_mut(reach).enumerate() {
            let (j, l) = (pair / atoms, pair % atoms);
            let (a, d) = (&self.analysis[l * size..][..size], &self.synthesis[j * size..][..size]);
            // Sample s of the analysis adds the whole synthesis atom, from lag −s on.
            for (a, d) in a.chunks_exact(taps).zip(d.chunks_exact(taps)) {
                for (s, a) in a.iter().enumerate() {
                    let first = taps - 1 - s;
                    super::support::add_scaled(simd, *a, d, &mut row[first..first + taps]);
                }
            }
        }
    }
}
