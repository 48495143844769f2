//! The analysis of a whole signal, `Aᵀx`.

use pulp::{Simd, WithSimd};

use super::layout::{Layout, TILE};
use crate::product::panel;
use crate::real::Real;

/// Atoms whose products with a stretch of the signal are summed together.
const AT_ONCE: usize = 4;

/// Writes the products of every atom with a signal at every position.
pub(super) struct Analysis<'a, T> {
    pub layout: Layout,
    /// `[p, C, k]`.
    pub bank: &'a [T],
    /// The signal, `[C, padded]`, with zeros behind its samples.
    pub signal: &'a [T],
    /// The products, in the layout of codes.
    pub products: &'a mut [T],
}

/// Numbers from one channel of a padded signal to the next.
pub(super) fn padded_samples(layout: &Layout) -> usize {
    layout.positions.next_multiple_of(TILE) + layout.taps.next_multiple_of(TILE)
}

impl<T: Real> WithSimd for Analysis<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match panel::<S>() {
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, 2>(simd),
        }
        // Behind the last position, atoms are not covered.
        let Layout { lead, stride, positions, .. } = self.layout;
        for row in self.products.chunks_exact_mut(stride) {
            row[lead + positions..].fill(T::ZERO);
        }
    }
}

impl<T: Real> Analysis<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(&mut self, simd: S) {
        let Layout { atoms, positions, .. } = self.layout;
        for start in (0..positions).step_by(V * T::lanes::<S>()) {
            let mut atom = 0;
            while atom + AT_ONCE <= atoms {
                self.block::<S, V, AT_ONCE>(simd, atom, start);
                atom += AT_ONCE;
            }
            while atom < atoms {
                self.block::<S, V, 1>(simd, atom, start);
                atom += 1;
            }
        }
    }

    /// `N` atoms from `first` on, at `V` vectors of positions from `start` on.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const N: usize>(
        &mut self,
        simd: S,
        first: usize,
        start: usize,
    ) {
        let Layout { channels, taps, lead, stride, .. } = self.layout;
        let (size, width) = (channels * taps, V * T::lanes::<S>());
        let mut sums = [[T::splat(simd, T::ZERO); V]; N];
        let samples = self.signal.chunks_exact(padded_samples(&self.layout));
        for (channel, samples) in samples.enumerate() {
            let mut filters = [&[][..]; N];
            for (i, filter) in filters.iter_mut().enumerate() {
                *filter = &self.bank[(first + i) * size + channel * taps..][..taps];
            }
            let samples = &samples[start..start + taps - 1 + width];
            for (tap, samples) in samples.windows(width).enumerate() {
                let samples = T::vectors::<S>(samples);
                for (sums, filter) in sums.iter_mut().zip(&filters) {
                    let factor = T::splat(simd, filter[tap]);
                    for (sum, samples) in sums.iter_mut().zip(samples) {
                        *sum = T::mul_add(simd, *samples, factor, *sum);
                    }
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let products = &mut self.products[(first + i) * stride + lead + start..][..width];
            T::vectors_mut::<S>(products).copy_from_slice(sums);
        }
    }
}
