//! Explanations.

mod attractors;
mod classifier;
mod codes;
mod contributors;
mod digits;
mod error;
mod figures;
mod identity;
mod patches;
mod report;
mod saliency;
mod subject;
mod tiles;
mod usage;

pub use attractors::{Attraction, Path, attraction, iterate, noise};
pub use classifier::{Accuracy, classify};
pub use codes::{Row, SparseCodes};
pub use contributors::{
    Contribution, Contributors, by_code_of_atoms, by_code_of_outputs, of_atoms, of_outputs,
};
pub use digits::{DigitExplanation, DigitOptions, OutputExplanation, explain_digits};
pub use error::{ExplainError, Result};
pub use figures::{an_atom_for_each_class, atom_figure, output_figure};
pub use identity::{Identity, Moments, Ridge, cosine};
pub use patches::{EncodedPhoto, Patches, Place, Places};
pub use report::{HIGHEST, Summary, check_place, write_digit_report};
pub use saliency::saliency;
pub use subject::{DigitModel, Encoded, PatchOptions, Subject};
pub use usage::{BARS, Use, nearest, ranked, uses};
