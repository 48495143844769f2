//! How data, atoms and outputs are named and shown.

use pudle_data::Image;

use crate::data::{EncodedInput, Input, Source};
use crate::error::Result;

/// What the data of a subject are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// A datum: "digit", "patch".
    pub datum: &'static str,
    /// Several of them.
    pub data: &'static str,
    /// An item: "photograph". If data are whole items this is the same word as `datum`.
    pub item: &'static str,
}

/// Pictures of one position of an input.
#[derive(Clone, Debug)]
pub struct OutputViews {
    /// What the model was given there.
    pub seen: Image,
    /// What the model made of it.
    pub output: Image,
    /// What the code at this position contributes, `D z`, if other positions contribute to the same output.
    pub own: Option<Image>,
}

/// Names and pictures for reports. Pictures have values between 0 and 1.
pub trait Depict {
    /// What the data are called.
    fn words(&self) -> Words;

    /// Two short lines that say which datum it is.
    fn datum_name(&self, source: Source) -> [String; 2];

    /// The columns that name a datum in tables.
    fn datum_columns(&self) -> &'static [&'static str];

    /// The entries of a datum in these columns.
    fn datum_fields(&self, source: Source) -> Vec<String>;

    /// A training datum. All pictures have one shape.
    ///
    /// # Errors
    /// Returns an error if the datum cannot be read.
    fn datum_picture(&self, source: Source) -> Result<Image>;

    /// A training datum for a printed sheet, with its surroundings if it is a window. If `inverted`, dark and light are
    /// exchanged, as for data of negative weight.
    ///
    /// # Errors
    /// Returns an error if the datum cannot be read.
    fn sheet_picture(&self, source: Source, inverted: bool) -> Result<Image>;

    /// Values of an atom's shape and of either sign: zero is mid-grey, the largest magnitude black or white.
    fn signed_picture(&self, values: &[f32]) -> Image;

    /// An output `D z`, `m` values.
    ///
    /// # Errors
    /// Returns an error if it is not a picture.
    fn output_picture(&self, values: &[f32]) -> Result<Image>;

    /// One position of an input; `decoded` is `D z` there.
    ///
    /// # Errors
    /// Returns an error if it is not a picture.
    fn output_views(
        &self,
        encoded: &EncodedInput,
        position: usize,
        decoded: &[f32],
    ) -> Result<OutputViews>;

    /// The output of a whole input with these positions framed, if there is more than one position.
    fn marked_output(
        &self,
        _input: &Input,
        _encoded: &EncodedInput,
        _positions: &[usize],
    ) -> Option<Image> {
        None
    }

    /// The name of a window of an input, from its first row and column.
    fn window_name(&self, input: &str, [row, column]: [usize; 2]) -> String {
        format!("{input}, {} at {row}, {column}", self.words().datum)
    }

    /// What [`marked_output`](Self::marked_output) shows.
    fn marked_caption(&self) -> &'static str {
        "denoised; the explained patches are framed"
    }
}
