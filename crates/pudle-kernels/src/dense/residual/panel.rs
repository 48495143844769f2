//! What a panel of dimensions adds to the gradients.

use pulp::{Simd, WithSimd};

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::dense::adjoint::Adjoint;
use crate::dense::residual::datum::Datum;
use crate::dense::residual::matrix::width;
use crate::real::Real;

/// Sums of the backward pass in the dimensions of a panel.
pub(super) struct PanelSums<T> {
    /// The gradient of the atoms, `[p, width]`.
    pub atoms: Aligned<T>,
    /// `Σ h_t` of each datum, `[b, width]`, or empty.
    pub data: Aligned<T>,
    /// `Σ ⟨h_t, r_t⟩`.
    pub step: f64,
    /// The panel's part of the products with the atoms, for the supports of a group's data, one after the other.
    pub images: Vec<T>,
}

impl<T: Real> PanelSums<T> {
    /// Sums for a panel of `length` numbers and `batch` data.
    pub fn new(length: usize, batch: usize) -> Self {
        let data = zeros(batch * width::<T>());
        Self { atoms: zeros(length), data, step: 0.0, images: Vec::new() }
    }
}

/// A panel of dimensions.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a, T> {
    /// `[p, width]`.
    pub numbers: &'a [T],
    /// The first dimension.
    pub first: usize,
    /// Dimension `m` of the data.
    pub dim: usize,
}

impl<T: Real> Panel<'_, T> {
    /// Writes the panel's part of row `i` of data `[…, m]` to the start of `out`.
    #[inline(always)]
    fn read(&self, data: &[T], i: usize, out: &mut [T]) {
        let row = &data[i * self.dim..][self.first..self.dim];
        out.iter_mut().zip(row).for_each(|(out, number)| *out = *number);
    }
}

/// One layer backward, for a group of data.
pub(super) struct LayerPanel<'a, T> {
    pub panel: Panel<'a, T>,
    pub data: &'a [Datum<T>],
    /// `[b, m]`.
    pub x: &'a [T],
    /// Number of the first datum.
    pub first: usize,
    pub step: T,
    pub sums: &'a mut PanelSums<T>,
}

impl<T: Real> WithSimd for LayerPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { panel, data, x, first, step, sums } = self;
        let width = width::<T>();
        let mut rows: Aligned<T> = zeros(3 * width);
        let (h, rest) = rows.split_at_mut(width);
        let (r, x_row) = rest.split_at_mut(width);
        sums.images.clear();
        for (i, Datum { adjoint: datum, .. }) in data.iter().enumerate() {
            let (next, union) = (datum.next.get(), datum.union.get());
            // `delta` off the support of z_{t+1} is not read.
            combine(simd, panel.numbers, next, &datum.delta, h);
            combine(simd, panel.numbers, union, &datum.point, r);
            panel.read(x, first + i, x_row);
            for (r, x) in T::vectors_mut::<S>(r).iter_mut().zip(T::vectors::<S>(x_row)) {
                *r = T::minus(simd, *x, *r);
            }
            sums.step += inner(simd, h, r).to_f64();
            for (j, u) in next.iter().zip(&datum.u) {
                let row = &mut sums.atoms[*j as usize * width..][..width];
                add_scaled(simd, step * *u, r, row);
            }
            respond(simd, panel, datum, -step, h, sums);
            if !sums.data.is_empty() {
                add_scaled(simd, T::ONE, h, &mut sums.data[(first + i) * width..][..width]);
            }
        }
    }
}

/// The decoder backward, for a group of data whose points are the last codes.
pub(super) struct DecoderPanel<'a, T> {
    pub panel: Panel<'a, T>,
    pub data: &'a [Datum<T>],
    /// The gradient in the reconstruction, `[b, m]`.
    pub error: &'a [T],
    /// Number of the first datum.
    pub first: usize,
    pub sums: &'a mut PanelSums<T>,
}

impl<T: Real> WithSimd for DecoderPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { panel, data, error, first, sums } = self;
        let mut row = zeros(width::<T>());
        sums.images.clear();
        for (i, Datum { adjoint: datum, .. }) in data.iter().enumerate() {
            panel.read(error, first + i, &mut row);
            respond(simd, panel, datum, T::ONE, &row, sums);
        }
    }
}

/// Adds `scale y ⊗ h` to the gradient of the atoms, and lists `⟨d_j, h⟩` for the atoms on the support of the
/// point `y`.
#[inline(always)]
fn respond<T: Real, S: Simd>(
    simd: S,
    panel: Panel<'_, T>,
    datum: &Adjoint<T>,
    scale: T,
    h: &[T],
    sums: &mut PanelSums<T>,
) {
    for j in datum.union.get() {
        let (j, width) = (*j as usize, h.len());
        add_scaled(simd, scale * datum.point[j], h, &mut sums.atoms[j * width..][..width]);
        sums.images.push(inner(simd, &panel.numbers[j * width..][..width], h));
    }
}

/// `to += factor · from`, of whole vectors.
#[inline(always)]
fn add_scaled<T: Real, S: Simd>(simd: S, factor: T, from: &[T], to: &mut [T]) {
    let factor = T::splat(simd, factor);
    for (to, from) in T::vectors_mut::<S>(to).iter_mut().zip(T::vectors::<S>(from)) {
        *to = T::mul_add(simd, *from, factor, *to);
    }
}

/// `⟨a, b⟩`, of whole vectors.
#[inline(always)]
fn inner<T: Real, S: Simd>(simd: S, a: &[T], b: &[T]) -> T {
    let mut sum = T::splat(simd, T::ZERO);
    for (a, b) in T::vectors::<S>(a).iter().zip(T::vectors::<S>(b)) {
        sum = T::mul_add(simd, *a, *b, sum);
    }
    T::total(simd, sum)
}
