//! Every atom and every output of a dictionary network traced to the training data behind it.
//!
//! * [`Identity`] is the closed form: at rest an atom is `Σ_k α_k x_k`, an output `Σ_k β_k x_k`, with weights over all training
//!   data from one `p×p` inverse; its residuals tell where it does not hold.
//! * [`Subject`] encodes the data of a run: digits under a dense dictionary ([`explain_digits`]), positions of photographs
//!   under filters ([`explain_photos`]).
//! * [`of_atoms`], [`of_outputs`] and their relatives rank all training data exactly; [`saliency`] is `∂z_j/∂x`, [`attraction`] iterates
//!   the network, [`classify`] reads classes off codes, [`uses`] counts what atoms are used for.
//! * [`check`] removes what an explanation names, trains on, and compares with what it predicts.
//! * [`write_digit_report`] and [`write_photo_report`] write a page that needs nothing else, with numbers and figures.
//!
//! ```
//! use pudle_explain::{Identity, Moments, Ridge, SparseCodes, of_atoms};
//!
//! // Three data of two values, and their codes over two atoms.
//! let mut codes = SparseCodes::new(2)?;
//! for code in [[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]] {
//!     codes.push(code.into_iter());
//! }
//! let mut moments = Moments::new(2, 2);
//! moments.add(&codes, 0..3, &[2.0, 0.0, 1.0, 0.0, 0.0, 3.0]);
//! let identity = Identity::new(&moments, vec![1.0, 0.0, 0.0, 1.0], Ridge::Decay(0.0))?;
//! assert!(identity.residual() < 1e-6);
//! // The first atom comes from the first datum most, and not at all from the third.
//! let contributors = &of_atoms(&identity, &codes, 2)[0];
//! assert_eq!((contributors.most[0].datum, contributors.least[0].datum), (0, 2));
//! # Ok::<(), pudle_explain::ExplainError>(())
//! ```

mod attractors;
mod check;
mod classifier;
mod codes;
mod contributors;
mod digits;
mod error;
mod figures;
mod growth;
mod identity;
mod patches;
mod photo;
mod report;
mod saliency;
mod subject;
mod tiles;
mod usage;

pub use attractors::{Attraction, Path, attraction, iterate, noise};
pub use check::{Check, CheckOptions, Correlation, Faithfulness, Removal, check, rank_correlation};
pub use classifier::{Accuracy, classify};
pub use codes::{Row, SparseCodes};
pub use contributors::{
    Contribution, Contributors, by_code_of_atoms, by_code_of_outputs, of_atoms, of_outputs,
    shares_of_atoms, shares_of_outputs,
};
pub use digits::{DigitExplanation, DigitOptions, OutputExplanation, explain_digits};
pub use error::{ExplainError, Result};
pub use figures::{an_atom_for_each_class, atom_figure, output_figure};
pub use growth::{Cost, growth};
pub use identity::{Identity, Moments, Ridge, cosine};
pub use patches::{EncodedPhoto, Patches, Place, Places};
pub use photo::{
    PatchOutput, PhotoExplanation, PhotoOptions, explain_photos, filter_sheet, map_sheet,
    patch_sheet,
};
pub use report::{
    HIGHEST, Summary, check_place, write_check, write_digit_report, write_photo_report,
};
pub use saliency::saliency;
pub use subject::{DigitModel, Encoded, PatchOptions, Subject};
pub use usage::{BARS, Use, nearest, ranked, uses};
