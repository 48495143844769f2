//! The forward pass of a signal.

use pulp::{Arch, Simd, WithSimd};

use super::analysis::{Analysis, padded_samples};
use super::gram::Gram;
use super::layer::Layer;
use super::layout::{Layout, TILE};
use super::support::{Support, add_scaled};
use crate::aligned::{Aligned, zeros};
use crate::banks::Banks;
use crate::encoder::Encoder;
use crate::geometry::Geometry;
use crate::levels::Levels;
use crate::real::Real;
use crate::schedule::Schedule;
use crate::settings::{Shrinkage, Unrolling};

/// Everything about a pass but its data.
pub(super) struct Pass<T> {
    pub layout: Layout,
    /// Each `[p, C, k]`.
    pub banks: Banks<Vec<T>>,
    gram: Gram<T>,
    pub step: T,
    pub levels: Levels<T>,
    pub schedule: Schedule,
    pub arch: Arch,
}

/// What the backward pass of a signal needs.
pub(super) struct Tape<T> {
    /// The signal, `[C, n]`; empty if no layer is recorded.
    pub x: Vec<T>,
    /// `z_{a−1}, z_a, …, z_T` for recorded layers from `a` on; the first is empty for `a = 0`.
    pub codes: Vec<Support<T>>,
}

/// The state of a signal between layers. The codes are in the layout of the pass.
pub(super) struct State<T> {
    signal: Aligned<T>,
    analysis: Aligned<T>,
    code: Aligned<T>,
    previous: Aligned<T>,
    gram: Aligned<T>,
    previous_gram: Aligned<T>,
    used: Vec<bool>,
    /// The entries of `code` that are not zero.
    pub support: Support<T>,
}

impl<T: Real> Pass<T> {
    pub fn new(geometry: &Geometry, encoder: Encoder<'_, T>, unrolling: Unrolling) -> Self {
        let layout = Layout::new::<T>(geometry);
        let banks = encoder.banks.map(<[T]>::to_vec);
        for bank in banks.iter() {
            assert_eq!(bank.len(), layout.weights(), "weights of a bank of filters");
        }
        let arch = Arch::new();
        Self {
            gram: Gram::new(arch, &layout, banks.for_analysis(), &banks.synthesis),
            banks,
            step: encoder.step,
            levels: Levels::new(encoder.levels, encoder.level_shape, layout.atoms, layout.atoms),
            schedule: Schedule::new(unrolling),
            arch,
            layout,
        }
    }

    /// Memory for a signal.
    pub fn state(&self) -> State<T> {
        let codes = || zeros(self.layout.numbers());
        State {
            signal: zeros(self.layout.channels * padded_samples(&self.layout)),
            analysis: codes(),
            code: codes(),
            previous: codes(),
            gram: codes(),
            previous_gram: codes(),
            used: vec![false; self.layout.all_tiles()],
            support: Support { places: Vec::new(), values: Vec::new() },
        }
    }

    /// Runs all layers on datum `i` of a batch, `[C, n]`. Returns a tape if `record` is set.
    pub fn forward(
        &self,
        state: &mut State<T>,
        x: &[T],
        i: usize,
        record: bool,
    ) -> Option<Tape<T>> {
        self.begin(state, x, i);
        let first = self.schedule.first_recorded();
        let recorded = record && first < self.schedule.layers;
        let mut codes = Vec::new();
        for t in 0..self.schedule.layers {
            if recorded && t + 1 >= first {
                codes.push(state.support.clone());
            }
            self.layer(state, t, i);
        }
        if recorded && first == 0 {
            // Nothing precedes z_0.
            codes.insert(0, Support { places: Vec::new(), values: Vec::new() });
        }
        codes.push(state.support.clone());
        let x = if recorded { x.to_vec() } else { Vec::new() };
        record.then_some(Tape { x, codes })
    }

    /// Starts a signal: `z_0 = 0`, and its analysis.
    fn begin(&self, state: &mut State<T>, x: &[T], i: usize) {
        let layout = self.layout;
        for tile in (0..layout.all_tiles()).filter(|tile| state.used[*tile]) {
            for atom in 0..layout.atoms {
                let start = atom * layout.stride + tile * TILE;
                let State { code, previous, gram, previous_gram, .. } = state;
                for numbers in [code, previous, gram, previous_gram] {
                    numbers[start..start + TILE].fill(T::ZERO);
                }
            }
        }
        state.support.clear();
        let rows = state.signal.chunks_exact_mut(padded_samples(&layout));
        for (row, x) in rows.zip(x.chunks_exact(layout.samples)) {
            row[..layout.samples].copy_from_slice(x);
        }
        self.arch.dispatch(Analysis {
            layout,
            bank: self.banks.for_analysis(),
            signal: &state.signal,
            products: &mut state.analysis,
        });
        let levels: Vec<T> = (0..layout.atoms).map(|atom| self.lowest_level(i, atom)).collect();
        self.arch.dispatch(Begin {
            layout,
            step: self.step,
            shrinkage: self.schedule.shrinkage,
            levels: &levels,
            analysis: &state.analysis,
            used: &mut state.used,
        });
    }

    /// The lowest level of an atom over the layers.
    fn lowest_level(&self, i: usize, atom: usize) -> T {
        let levels = (0..self.levels.layers()).map(|t| self.levels.of(t, i)[atom]);
        levels.reduce(|a, b| if b < a { b } else { a }).expect("a pass has levels")
    }

    fn layer(&self, state: &mut State<T>, t: usize, i: usize) {
        let layout = self.layout;
        let State { analysis, code, previous, gram, previous_gram, used, support, .. } = state;
        self.arch.dispatch(Layer {
            layout,
            used,
            step: self.step,
            levels: self.levels.of(t, i),
            shrinkage: self.schedule.shrinkage,
            momentum: T::from_f64(self.schedule.weight(t)),
            analysis,
            code,
            next: previous,
            gram,
            previous_gram,
            support,
        });
        std::mem::swap(code, previous);
        if t + 1 < self.schedule.layers {
            std::mem::swap(gram, previous_gram);
            let spread = Spread { layout, gram: &self.gram, support, used, sums: gram };
            self.arch.dispatch(spread);
        }
    }
}

/// Marks the tiles where the first layer can have a code that is not zero. Elsewhere it stays zero until a code comes near.
struct Begin<'a, T> {
    layout: Layout,
    step: T,
    shrinkage: Shrinkage,
    levels: &'a [T],
    analysis: &'a [T],
    used: &'a mut [bool],
}

impl<T: Real> WithSimd for Begin<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.used.fill(false);
        let two_sided = self.shrinkage != Shrinkage::Relu;
        for (row, level) in self.analysis.chunks_exact(self.layout.stride).zip(self.levels) {
            for tile in self.layout.tiles() {
                let numbers = &row[tile * TILE..][..TILE];
                let above = |any: bool, value: &T| {
                    let v = self.step * *value;
                    // What is not a number is not at most a level.
                    let idle = v <= *level && !(two_sided && -v > *level);
                    any | !idle
                };
                self.used[tile] |= numbers.iter().fold(false, above);
            }
        }
    }
}

/// Writes `G z` of a support to the tiles in use, and takes the tiles that it reaches into use.
struct Spread<'a, T> {
    layout: Layout,
    gram: &'a Gram<T>,
    support: &'a Support<T>,
    used: &'a mut [bool],
    sums: &'a mut [T],
}

impl<T: Real> WithSimd for Spread<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layout { positions, lead, stride, taps, reach, .. } = self.layout;
        let first_of = |place: usize| lead + place % positions + 1 - taps;
        for place in &self.support.places {
            let first = first_of(*place as usize);
            self.used[first / TILE..=(first + reach - 1) / TILE].fill(true);
        }
        for row in self.sums.chunks_exact_mut(stride) {
            for (tile, numbers) in row.chunks_exact_mut(TILE).enumerate() {
                if self.used[tile] {
                    numbers.fill(T::ZERO);
                }
            }
        }
        for (place, value) in self.support.iter() {
            let first = first_of(place);
            let rows = self.sums.chunks_exact_mut(stride);
            for (row, correlations) in rows.zip(self.gram.of(place / positions)) {
                add_scaled(simd, value, correlations, &mut row[first..first + reach]);
            }
        }
    }
}
