//! What a panel of dimensions adds to the gradients.

use pulp::{Simd, WithSimd};

use crate::aligned::{Aligned, zeros};
use crate::dense::residual::lists::Lists;
use crate::dense::residual::matrix::width;
use crate::dense::residual::panel::{Panel, add_lists};
use crate::real::Real;
use crate::vector::inner;

/// Sums of the backward pass in the dimensions of a panel.
pub(super) struct PanelSums<T> {
    /// The gradient of the atoms, `[p, width]`.
    pub atoms: Aligned<T>,
    /// `Σ h_t` of each datum, `[b, width]`, or empty.
    pub data: Aligned<T>,
    /// `Σ ⟨h_t, r_t⟩`.
    pub step: f64,
    /// `h_t` of layers whose outer products are not added yet, `[group, width]` each.
    pub h: Vec<Aligned<T>>,
    /// The panel's part of `⟨d_j, h_t⟩` for the points of a group, in the order of their lists.
    pub images: Vec<T>,
}

impl<T: Real> PanelSums<T> {
    /// Sums for a panel of `length` numbers and `batch` data.
    pub fn new(length: usize, batch: usize) -> Self {
        let data = zeros(batch * width::<T>());
        Self { atoms: zeros(length), data, step: 0.0, h: Vec::new(), images: Vec::new() }
    }
}

/// The decoder backward, for a group of data.
pub(super) struct DecoderPanel<'a, T> {
    pub panel: Panel<'a, T>,
    /// The gradient in the reconstruction, `[group, m]`.
    pub error: &'a [T],
    /// `z_T`.
    pub points: &'a Lists<T>,
    pub sums: &'a mut PanelSums<T>,
}

impl<T: Real> WithSimd for DecoderPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { panel, error, points, sums } = self;
        let error = panel.part(error);
        add_lists(simd, points, &error, T::ONE, &mut sums.atoms);
        panel.write_images(simd, points, &error, &mut sums.images);
    }
}

/// `u_t` and `y_t` of a layer, for a group of data.
pub(super) struct LayerCodes<T> {
    pub u: Listed<T>,
    pub y: Listed<T>,
}

/// Codes in both lists.
pub(super) struct Listed<T> {
    pub by_datum: Lists<T>,
    pub by_atom: Lists<T>,
}

impl<T: Real> Listed<T> {
    /// Codes as for [`Lists::by_datum`].
    pub fn new<'a>(
        length: usize,
        codes: impl Iterator<Item = (&'a [u32], &'a [T])> + Clone,
    ) -> Self {
        Self {
            by_datum: Lists::by_datum(length, codes.clone()),
            by_atom: Lists::by_atom(length, codes),
        }
    }
}

impl<T: Real> LayerCodes<T> {
    /// How many codes there are.
    pub fn len(&self) -> usize {
        self.u.by_atom.len() + self.y.by_atom.len()
    }
}

/// The images of one layer backward, for a group of data.
pub(super) struct ImagePanel<'a, T> {
    pub panel: Panel<'a, T>,
    pub codes: &'a LayerCodes<T>,
    /// Number of data in the group.
    pub count: usize,
    pub sums: &'a mut PanelSums<T>,
}

impl<T: Real> WithSimd for ImagePanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { panel, codes, count, sums } = self;
        let mut h = zeros(count * width::<T>());
        add_lists(simd, &codes.u.by_datum, panel.numbers, T::ONE, &mut h);
        panel.write_images(simd, &codes.y.by_atom, &h, &mut sums.images);
        sums.h.push(h);
    }
}

/// The outer products of some layers, for a group of data. They are left until the images of these layers
/// are done, so that a panel of the gradient is read once for all of them.
pub(super) struct OuterPanel<'a, T> {
    pub panel: Panel<'a, T>,
    /// The group's data, `[group, m]`.
    pub x: &'a [T],
    /// In the order of [`PanelSums::h`].
    pub layers: &'a [LayerCodes<T>],
    /// Number of the first datum.
    pub first: usize,
    pub step: T,
    pub sums: &'a mut PanelSums<T>,
}

impl<T: Real> WithSimd for OuterPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { panel, x, layers, first, step, sums } = self;
        let x = panel.part(x);
        for (LayerCodes { u, y }, h) in layers.iter().zip(sums.h.drain(..)) {
            let mut r = x.clone();
            add_lists(simd, &y.by_datum, panel.numbers, -T::ONE, &mut r);
            add_lists(simd, &u.by_atom, &r, step, &mut sums.atoms);
            add_lists(simd, &y.by_atom, &h, -step, &mut sums.atoms);
            sums.step += inner(&h, &r);
            if let Some(data) = sums.data.get_mut(first * width::<T>()..) {
                data.iter_mut().zip(&*h).for_each(|(sum, h)| *sum += *h);
            }
        }
    }
}
