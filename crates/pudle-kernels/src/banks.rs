//! The banks of atoms of a network, and which of them are tied.

/// Which banks of atoms a network has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tying {
    /// One bank for the analysis, the synthesis and the decoder.
    Tied,
    /// One bank for the analysis and the synthesis of the layers, and one for the decoder.
    Decoder,
    /// One bank each for the analysis, the synthesis and the decoder.
    Untied,
}

impl Tying {
    /// The banks that this tying counts. The others are left out.
    pub fn banks<T>(self, analysis: T, synthesis: T, decoder: T) -> Banks<T> {
        match self {
            Tying::Tied => Banks::tied(synthesis),
            Tying::Decoder => Banks { analysis: None, synthesis, decoder: Some(decoder) },
            Tying::Untied => Banks { analysis: Some(analysis), synthesis, decoder: Some(decoder) },
        }
    }
}

/// The banks of atoms of a network, or a value for each of them. A bank that is `None` is tied to the
/// synthesis bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banks<T> {
    /// From residuals to codes, in the layers.
    pub analysis: Option<T>,
    /// From codes to residuals, in the layers.
    pub synthesis: T,
    /// From the last code to the reconstruction.
    pub decoder: Option<T>,
}

impl<T> Banks<T> {
    /// One bank for everything.
    pub fn tied(synthesis: T) -> Self {
        Self { analysis: None, synthesis, decoder: None }
    }

    /// Which banks there are. A network with an analysis bank and a tied decoder counts as untied: its
    /// decoder is a second copy of the synthesis bank.
    pub fn tying(&self) -> Tying {
        match (&self.analysis, &self.decoder) {
            (None, None) => Tying::Tied,
            (None, Some(_)) => Tying::Decoder,
            (Some(_), _) => Tying::Untied,
        }
    }

    /// The bank that the layers analyze residuals by.
    pub fn for_analysis(&self) -> &T {
        self.analysis.as_ref().unwrap_or(&self.synthesis)
    }

    /// The bank that the last code is decoded by.
    pub fn for_decoder(&self) -> &T {
        self.decoder.as_ref().unwrap_or(&self.synthesis)
    }

    /// As [`for_analysis`](Self::for_analysis), to be written to.
    pub fn for_analysis_mut(&mut self) -> &mut T {
        self.analysis.as_mut().unwrap_or(&mut self.synthesis)
    }

    /// As [`for_decoder`](Self::for_decoder), to be written to.
    pub fn for_decoder_mut(&mut self) -> &mut T {
        self.decoder.as_mut().unwrap_or(&mut self.synthesis)
    }

    /// A reference to each bank.
    pub fn as_ref(&self) -> Banks<&T> {
        Banks {
            analysis: self.analysis.as_ref(),
            synthesis: &self.synthesis,
            decoder: self.decoder.as_ref(),
        }
    }

    /// The result of `f` for each bank.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Banks<U> {
        Banks {
            analysis: self.analysis.map(&mut f),
            synthesis: f(self.synthesis),
            decoder: self.decoder.map(&mut f),
        }
    }

    /// The banks, from the analysis to the decoder.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.analysis.iter().chain(Some(&self.synthesis)).chain(&self.decoder)
    }

    /// The banks, from the analysis to the decoder, to be written to.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.analysis.iter_mut().chain(Some(&mut self.synthesis)).chain(&mut self.decoder)
    }
}
