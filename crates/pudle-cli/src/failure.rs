//! What a command fails with, and the way out.

use std::error::Error;

use pudle_core::BackendError;
use pudle_experiments::ExperimentError;
use pudle_explain::ExplainError;
use pudle_train::TrainError;

/// Any error. It is told in one line.
pub type Failure = Box<dyn Error>;

/// The error in one line, with the flag that helps.
pub fn message(error: &(dyn Error + 'static)) -> String {
    let message = error.to_string().replace('\n', " ");
    match way_out(error) {
        Some(way_out) => format!("{message}; {way_out}"),
        None => message,
    }
}

/// The way out of an error, by the flags of the command line. Libraries know values and ranges, but no flags.
fn way_out(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<TrainError>() {
        return match error {
            TrainError::RunExists(dir) => Some(format!(
                "continue it with `--resume {0}` or name another directory with `--out`",
                dir.display()
            )),
            TrainError::SeveralTensors { .. } => Some("choose one with --tensor".into()),
            TrainError::NoStride { .. } => Some("give it with --stride".into()),
            TrainError::StrideOfMatrix { .. } => Some("leave out --stride".into()),
            TrainError::Backend(error) => way_out(error),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<ExplainError>() {
        return match error {
            ExplainError::ReportExists(_) => Some("give --force to replace it".into()),
            ExplainError::Singular { .. } => Some("give a larger --ridge".into()),
            ExplainError::GeneratedData => {
                Some("give the photographs to explain it by with --data".into())
            }
            ExplainError::Train(error) => way_out(error),
            ExplainError::Backend(error) => way_out(error),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<ExperimentError>() {
        return match error {
            ExperimentError::OtherSettings { .. } => Some("name another folder with --out".into()),
            ExperimentError::Train(error) => way_out(error),
            ExperimentError::Backend(error) => way_out(error),
            _ => None,
        };
    }
    match error.downcast_ref::<BackendError>()? {
        BackendError::NotCompiled(backend) => {
            Some(format!("that is `cargo run --release --features {backend} -- …`"))
        }
        BackendError::NoDevice(_) => None,
    }
}
