//! Every atom and every output of a dictionary network traced to the training data behind it.
//!
//! * [`Identity`] is the closed form: at rest an atom is `Σ_k α_k x_k` and an output `Σ_k β_k x_k`, with weights over all
//!   training data from one `p×p` inverse. Its residuals say how well that holds.
//! * [`Subject`] is what is explained: a model with its training data. [`DigitSubject`] are digits under a dense dictionary,
//!   [`PhotographSubject`] are photographs under filters, [`RecordingSubject`] is a recording under filters along time;
//!   [`open_subject`] opens the one of a run.
//! * [`explain()`] explains a subject. It ranks all training data exactly ([`of_atoms`], [`of_outputs`]) and adds saliency, attractors
//!   and a classifier on the codes where the subject has them.
//! * [`removal_test()`] trains without the data that an explanation names, and compares the result with what it predicts.
//! * [`EventFigure`] shows the events of a recording: waveforms, a stretch with its reconstruction, times and histograms.
//! * [`write_report`] writes a page that needs no other file, with tables and figures.
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
mod classifier;
mod codes;
mod contributors;
mod data;
mod depict;
mod error;
mod event_figure;
mod explain;
mod gather;
mod growth;
mod identity;
mod moments;
mod network;
mod open;
mod outputs;
mod prediction;
mod removal_run;
mod removal_test;
mod report;
mod ridge;
mod saliency;
mod selection_chart;
mod statistics;
mod subject;
mod tiles;
mod traces;
mod usage;
mod vectors;

pub use attractors::{Attraction, Starts, Trajectory, attraction, iterate, noise};
pub use classifier::{Accuracy, LabelledCodes, classify};
pub use codes::{Row, SparseCodes};
pub use contributors::{
    Contribution, Contributors, by_code_of_atoms, by_code_of_outputs, of_atoms, of_outputs,
    shares_of_atoms, shares_of_outputs,
};
pub use data::{Batch, DataKind, Encoded, EncodedInput, Input, InputNoise, Source, Split, Windows};
pub use depict::{Depict, OutputViews, Words};
pub use error::{ExplainError, Result};
pub use event_figure::EventFigure;
pub use explain::{ExplainOptions, Explanation, Progress, explain};
pub use growth::{Cost, growth};
pub use identity::Identity;
pub use moments::Moments;
pub use network::Network;
pub use open::{SubjectOptions, open_subject};
pub use outputs::{ExplainedInput, FeatureMap, Output};
pub use removal_run::ContinuedTraining;
pub use removal_test::{Faithfulness, Removal, RemovalOptions, RemovalTest, removal_test};
pub use report::folder::check_place;
pub use report::removal::write_removal_test;
pub use report::summary::{HIGHEST, Summary};
pub use report::{ReportOptions, write_report};
pub use ridge::Ridge;
pub use saliency::saliency;
pub use selection_chart::selection_chart;
pub use statistics::{Correlation, rank_correlation};
pub use subject::dense::DenseModel;
pub use subject::digits::DigitSubject;
pub use subject::events::RecordedEvents;
pub use subject::photographs::{PhotographOptions, PhotographSubject};
pub use subject::recordings::RecordingSubject;
pub use subject::{Batches, Retraining, Subject};
pub use usage::{BARS, Use, nearest, ranked, uses};
pub use vectors::cosine;
