//! The numbers that go into a pass and come out of it.

/// The banks of atoms of a network. Without one of its own, analysis and decoder use the atoms of the synthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banks<T> {
    /// Atoms of the layers' analysis, from residuals to codes.
    pub analysis: Option<T>,
    /// Atoms of the layers' synthesis, from codes to residuals.
    pub synthesis: T,
    /// Atoms of the decoder, from the last code to the reconstruction.
    pub decoder: Option<T>,
}

impl<T> Banks<T> {
    /// One bank for everything.
    pub fn tied(synthesis: T) -> Self {
        Self { analysis: None, synthesis, decoder: None }
    }

    /// Whether there is one bank for everything.
    pub fn are_tied(&self) -> bool {
        self.analysis.is_none() && self.decoder.is_none()
    }

    /// The same banks, each passed through `f`.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Banks<U> {
        Banks {
            analysis: self.analysis.map(&mut f),
            synthesis: f(self.synthesis),
            decoder: self.decoder.map(f),
        }
    }

    /// The same banks, borrowed.
    pub fn as_ref(&self) -> Banks<&T> {
        Banks {
            analysis: self.analysis.as_ref(),
            synthesis: &self.synthesis,
            decoder: self.decoder.as_ref(),
        }
    }
}

/// The encoder of a pass: its numbers, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Encoder<'a, T> {
    /// Atoms: `[p, C, k, k]` per bank of filters, or a matrix `[m, p]`, which must be tied.
    pub banks: Banks<&'a [T]>,
    /// Step size `α`.
    pub step: T,
    /// Levels `θ ≥ 0`, `[T or 1, batch or 1, p or 1]`.
    pub levels: &'a [T],
    /// Shape of the levels. An axis of 1 is the same for all.
    pub level_shape: [usize; 3],
}

/// The result of a pass.
#[derive(Clone, Debug)]
pub struct Output<T> {
    /// The codes `z_T`, `[b, p, h, w]` or `[b, p]`, followed by `D z_T` in the shape of the data.
    pub numbers: Vec<T>,
    /// How many numbers are codes.
    pub codes: usize,
}

impl<T> Output<T> {
    /// The codes.
    pub fn code(&self) -> &[T] {
        &self.numbers[..self.codes]
    }

    /// The reconstructions.
    pub fn reconstruction(&self) -> &[T] {
        &self.numbers[self.codes..]
    }
}

/// The gradients that are wanted besides those of the atoms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// That of the data.
    pub data: bool,
    /// Those of step size and levels.
    pub encoder: bool,
}

/// Gradients of a pass, each in the shape of what it belongs to.
#[derive(Clone, Debug)]
pub struct Gradients<T> {
    /// Of the atoms, bank by bank. A bank that others share has the sum of their gradients.
    pub banks: Banks<Vec<T>>,
    /// Of the data, if wanted.
    pub data: Option<Vec<T>>,
    /// Of the levels, if wanted.
    pub levels: Option<Vec<T>>,
    /// Of the step size, if wanted.
    pub step: Option<T>,
}
