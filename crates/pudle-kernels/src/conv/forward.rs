//! The layers of an image, strip by strip.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use crate::aligned::{AddScaled, Aligned, zeros};
use crate::conv::filters::Filters;
use crate::conv::micro::{Descend, Scratch, Synthesize};
use crate::encoder::{Banks, Encoder};
use crate::geometry::{Geometry, Strip};
use crate::real::Real;
use crate::settings::{Layers, Levels};
use crate::support::Sparse;

/// Everything about a pass but its data.
pub(crate) struct Network<T> {
    pub geometry: Geometry,
    pub strips: Vec<Strip>,
    /// The banks of filters that there are.
    banks: Vec<Filters<T>>,
    /// Where each bank stands among them.
    places: Banks<usize>,
    /// Where patches start in the window of the highest strip; a lower one uses the first of these.
    pub bases: Vec<usize>,
    /// Step size `α`.
    pub step: T,
    pub levels: Levels<T>,
    pub layers: Layers,
    /// Whether the strips of an image are worth running side by side.
    pub split_images: bool,
    pub arch: Arch,
}

/// What filters do in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bank {
    /// From residuals to codes, in the layers.
    Analysis,
    /// From codes to residuals, in the layers.
    Synthesis,
    /// From the last code to the reconstruction.
    Decoder,
}

/// An image, or a part of one, `[H, C, W]`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    pub numbers: &'a [T],
    /// Numbers from one row to the next, of all channels.
    pub pitch: usize,
    /// First number of the part.
    pub start: usize,
}

impl<'a, T> View<'a, T> {
    /// The `width` pixels of a channel in a row.
    fn row(&self, row: usize, channel: usize, channels: usize, width: usize) -> &'a [T] {
        let start = self.start + row * self.pitch + channel * (self.pitch / channels);
        &self.numbers[start..][..width]
    }
}

/// Where an image stands between two layers, a part per strip.
pub(crate) struct State<T> {
    /// Code `z_t`, `[positions, padded atoms]`.
    codes: Vec<Aligned<T>>,
    /// Code `z_{t−1}`, where layers extrapolate.
    previous: Vec<Aligned<T>>,
    /// `D z_t`, `D z_{t−1}` where layers extrapolate, and room for the next.
    syntheses: Vec<Vec<Aligned<T>>>,
    rooms: Vec<Room<T>>,
    /// `z_t`.
    pub code: Vec<Sparse<T>>,
    /// `z_{t−1}`, where layers extrapolate; else something of no interest, or nothing.
    pub before: Vec<Sparse<T>>,
}

/// Room that a strip's layers work in.
struct Room<T> {
    residual: Aligned<T>,
    scratch: Scratch<T>,
}

/// A strip in a layer.
struct Job<'a, T> {
    /// Number of the strip.
    k: usize,
    code: &'a mut Aligned<T>,
    previous: &'a mut [T],
    room: &'a mut Room<T>,
    /// Receives `D z_{t+1}`.
    synthesis: &'a mut Aligned<T>,
    /// Receives `z_{t+1}`.
    sparse: &'a mut Sparse<T>,
    /// Receives the strip's own rows of the residual, if it has room.
    record: &'a mut [T],
}

/// What the backward pass needs of the layers `a … b`.
#[derive(Default)]
pub(crate) struct Trace<T> {
    /// `z_a … z_b`.
    pub codes: Vec<Vec<Sparse<T>>>,
    /// `D y_t − x` of the layers, `[H, C, W]`; empty for layer 0, where it is `−x`.
    pub residuals: Vec<Vec<T>>,
}

impl<T: Real> Trace<T> {
    pub fn bytes(&self) -> usize {
        self.codes.iter().flatten().map(Sparse::bytes).sum::<usize>()
            + self.residuals.iter().map(|image| size_of_val(image.as_slice())).sum::<usize>()
    }
}

/// Runs `task` on each item, side by side if `parallel`.
pub(crate) fn for_each<I: Send>(parallel: bool, items: Vec<I>, task: impl Fn(I) + Sync + Send) {
    if parallel && items.len() > 1 {
        items.into_par_iter().with_max_len(1).for_each(task);
    } else {
        items.into_iter().for_each(task);
    }
}

impl<T: Real> Network<T> {
    /// Lays out the filters of `encoder` for a batch of `images`.
    pub fn new(geometry: Geometry, encoder: Encoder<'_, T>, layers: Layers, images: usize) -> Self {
        let strips = geometry.strips();
        let mut banks = Vec::new();
        let places = encoder.banks.map(|atoms| {
            assert_eq!(atoms.len(), geometry.atoms * geometry.taps(), "numbers in a bank");
            banks.push(Filters::new(&geometry, atoms));
            banks.len() - 1
        });
        let padded = banks[0].padded_atoms;
        let levels = Levels::new(encoder.levels, encoder.level_shape, geometry.atoms, padded);
        Self {
            bases: geometry.bases(&strips[0], geometry.pitch()),
            strips,
            banks,
            places,
            step: encoder.step,
            levels,
            layers,
            split_images: images < 2 * rayon::current_num_threads(),
            arch: Arch::new(),
            geometry,
        }
    }

    /// Where the filters for a part of the pass stand among the [`banks`](Self::banks).
    pub fn bank(&self, part: Bank) -> usize {
        let own = match part {
            Bank::Analysis => self.places.analysis,
            Bank::Synthesis => None,
            Bank::Decoder => self.places.decoder,
        };
        own.unwrap_or(self.places.synthesis)
    }

    /// Numbers per bank, by the banks' names.
    pub fn by_name<U>(&self, numbers: Vec<U>) -> Banks<U> {
        let mut numbers: Vec<Option<U>> = numbers.into_iter().map(Some).collect();
        self.places.map(|place| numbers[place].take().expect("every bank has its own place"))
    }

    /// The filters that have a part.
    pub fn filters(&self, part: Bank) -> &Filters<T> {
        &self.banks[self.bank(part)]
    }

    /// All banks.
    pub fn banks(&self) -> &[Filters<T>] {
        &self.banks
    }

    /// Atoms of a bank, padded.
    pub fn padded_atoms(&self) -> usize {
        self.banks[0].padded_atoms
    }

    /// Positions of a strip.
    pub fn positions(&self, strip: &Strip) -> usize {
        strip.rows * self.geometry.positions()[1]
    }

    /// Windows of all strips.
    pub fn windows(&self) -> Vec<Aligned<T>> {
        self.strips.iter().map(|strip| zeros(strip.window * self.geometry.pitch())).collect()
    }

    /// Zeros for a code of all strips, `[positions, padded atoms]` each.
    pub fn dense_codes(&self) -> Vec<Aligned<T>> {
        let padded = self.padded_atoms();
        self.strips.iter().map(|strip| zeros(self.positions(strip) * padded)).collect()
    }

    fn no_codes(&self) -> Vec<Sparse<T>> {
        let padded = self.padded_atoms();
        self.strips.iter().map(|strip| Sparse::zeros(self.positions(strip), padded)).collect()
    }

    /// The state before layer 0, `z_0 = 0`.
    pub fn start(&self) -> State<T> {
        let extrapolates = self.layers.extrapolates();
        State {
            codes: self.dense_codes(),
            previous: if extrapolates { self.dense_codes() } else { Vec::new() },
            syntheses: (0..if extrapolates { 3 } else { 2 }).map(|_| self.windows()).collect(),
            rooms: self
                .windows()
                .into_iter()
                .map(|residual| Room { residual, scratch: Scratch::new(&self.banks[0]) })
                .collect(),
            code: self.no_codes(),
            before: if extrapolates { self.no_codes() } else { Vec::new() },
        }
    }

    /// Back to the state before layer 0.
    pub fn reset(&self, state: &mut State<T>) {
        state.codes.iter_mut().chain(&mut state.previous).for_each(|code| code.fill(T::ZERO));
        state.code = self.no_codes();
        state.before = if state.previous.is_empty() { Vec::new() } else { self.no_codes() };
    }

    /// The state with these codes, as the layers left it.
    pub fn restore(&self, state: &mut State<T>, code: &[Sparse<T>], before: &[Sparse<T>]) {
        let padded = self.padded_atoms();
        let extrapolates = self.layers.extrapolates();
        let mut set = |target: &mut [Aligned<T>], sparse: &[Sparse<T>], synthesis: usize| {
            let windows = &mut state.syntheses[synthesis];
            let mut jobs = Vec::new();
            for (k, (((dense, sparse), window), room)) in
                target.iter_mut().zip(sparse).zip(windows).zip(&mut state.rooms).enumerate()
            {
                jobs.push((k, dense, sparse, window, &mut room.scratch));
            }
            for_each(self.split_images, jobs, |(k, dense, sparse, window, scratch)| {
                dense.fill(T::ZERO);
                sparse.expand(dense, padded);
                let support = &mut Sparse::new(padded);
                let filters = self.filters(Bank::Synthesis);
                self.synthesize(filters, &self.strips[k], dense, support, false, (window, scratch));
            });
        };
        set(&mut state.codes, code, 0);
        if extrapolates {
            set(&mut state.previous, before, 1);
        }
        state.code = code.to_vec();
        state.before = if extrapolates { before.to_vec() } else { Vec::new() };
    }

    fn synthesize(
        &self,
        filters: &Filters<T>,
        strip: &Strip,
        code: &[T],
        sparse: &mut Sparse<T>,
        keep: bool,
        (window, scratch): (&mut [T], &mut Scratch<T>),
    ) {
        self.arch.dispatch(Synthesize {
            filters,
            bases: &self.bases[..self.positions(strip)],
            code,
            sparse,
            keep,
            window,
            scratch,
        });
    }

    /// Runs `layers` on image `i` of the batch, and keeps what `trace` asks for.
    pub fn run(
        &self,
        state: &mut State<T>,
        x: View<'_, T>,
        i: usize,
        layers: Range<usize>,
        mut trace: Option<&mut Trace<T>>,
    ) {
        let padded = self.padded_atoms();
        let extrapolates = self.layers.extrapolates();
        let end = layers.end;
        for t in layers {
            let record = trace.is_some() && t > 0;
            let mut residual = vec![T::ZERO; if record { self.geometry.pixels() } else { 0 }];
            let mut fresh = std::mem::take(&mut state.before);
            if fresh.is_empty() {
                fresh = state.code.iter().map(|_| Sparse::new(padded)).collect();
                fresh.iter_mut().zip(&state.code).for_each(|(new, old)| new.reserve(old));
            }
            // Values are needed where they are recorded, at a start of a segment, and at the end.
            let keep = trace.is_some() || t + 1 >= end || (t + 2 == end && extrapolates);
            self.layer(state, x, i, t, keep, &mut residual, &mut fresh);
            let old = std::mem::replace(&mut state.code, fresh);
            match trace.as_deref_mut() {
                None => state.before = old,
                Some(trace) => {
                    state.before = if extrapolates { old.clone() } else { Vec::new() };
                    trace.codes.push(old);
                    trace.residuals.push(residual);
                }
            }
        }
        if let Some(trace) = trace {
            trace.codes.push(state.code.clone());
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of a layer")]
    fn layer(
        &self,
        state: &mut State<T>,
        x: View<'_, T>,
        i: usize,
        t: usize,
        keep: bool,
        residual: &mut [T],
        fresh: &mut [Sparse<T>],
    ) {
        let momentum = T::from_f64(self.layers.weight(t));
        let levels = self.levels.of(t, i);
        let (next, past) = state.syntheses.split_last_mut().expect("two syntheses or three");
        let mut jobs = Vec::with_capacity(self.strips.len());
        let mut rest = residual;
        let mut previous = state.previous.iter_mut();
        for (k, (((code, room), synthesis), sparse)) in
            state.codes.iter_mut().zip(&mut state.rooms).zip(next).zip(fresh).enumerate()
        {
            let owned = (self.strips[k].owned * self.geometry.pitch()).min(rest.len());
            let (record, later) = rest.split_at_mut(owned);
            rest = later;
            let previous = previous.next().map(|codes| &mut **codes).unwrap_or_default();
            jobs.push(Job { k, code, previous, room, synthesis, sparse, record });
        }
        let past = &*past;
        // What follows the last layer is the decoder.
        let filters = match t + 1 == self.layers.count {
            true => self.filters(Bank::Decoder),
            false => self.filters(Bank::Synthesis),
        };
        let task = |Job { k, code, previous, room, synthesis, sparse, record }: Job<'_, T>| {
            let Room { residual: window, scratch } = room;
            let strip: &Strip = &self.strips[k];
            self.negative(strip, x, window);
            if t > 0 {
                self.assemble(k, T::ONE + momentum, &past[0], window);
                if momentum != T::ZERO {
                    self.assemble(k, -momentum, &past[1], window);
                }
            }
            record.copy_from_slice(&window[..record.len()]);
            self.arch.dispatch(Descend {
                filters: self.filters(Bank::Analysis),
                bases: &self.bases[..self.positions(strip)],
                window,
                step: self.step,
                levels,
                shrinkage: self.layers.shrinkage,
                momentum,
                previous,
                code,
            });
            self.synthesize(filters, strip, code, sparse, keep, (synthesis, scratch));
        };
        for_each(self.split_images, jobs, task);
        state.syntheses.rotate_right(1);
    }

    /// `−x` in the window of a strip.
    fn negative(&self, strip: &Strip, x: View<'_, T>, window: &mut [T]) {
        let Geometry { channels, width, .. } = self.geometry;
        for (k, row) in window.chunks_exact_mut(width).enumerate() {
            let x = x.row(strip.top + k / channels, k % channels, channels, width);
            for (to, from) in row.iter_mut().zip(x) {
                *to = -*from;
            }
        }
    }

    /// Adds `factor` times what the windows of a strip and its neighbours hold.
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

    /// Hands `D z_t` to `write`: rows `[·, C, W]`, with the first row that they belong to.
    pub fn decode(&self, state: &State<T>, mut write: impl FnMut(usize, &[T])) {
        let pitch = self.geometry.pitch();
        for (k, strip) in self.strips.iter().enumerate() {
            let mut rows = zeros(strip.window * pitch);
            self.assemble(k, T::ONE, &state.syntheses[0], &mut rows);
            write(strip.top, &rows[..strip.owned * pitch]);
        }
    }
}
