//! Errors of commands, with hints about flags that help.

use std::error::Error;

use pudle_core::BackendError;
use pudle_data::DataError;
use pudle_experiments::ExperimentError;
use pudle_explain::ExplainError;
use pudle_train::TrainError;

/// Any error of a command.
pub type Failure = Box<dyn Error>;

/// The error message in one line, with a hint about a flag if one helps.
pub fn message(error: &(dyn Error + 'static)) -> String {
    let message = error.to_string().replace('\n', " ");
    match hint(error) {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    }
}

/// The hint for an error. It is given here because libraries do not know the flags of the command line.
fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(DataError::Pages { .. }) = error.downcast_ref::<DataError>() {
        return Some("choose it with --page".into());
    }
    if let Some(error) = error.downcast_ref::<TrainError>() {
        return match error {
            TrainError::RunExists(dir) => Some(format!(
                "continue it with `--resume {0}` or name another directory with `--out`",
                dir.display()
            )),
            TrainError::SeveralTensors { .. } => Some("choose one with --tensor".into()),
            TrainError::NoStride { .. } => Some("set it with --stride".into()),
            TrainError::Ambiguous { .. } => Some(
                "choose with --transpose (atoms last) or --transpose=false (atoms first)".into(),
            ),
            TrainError::NoSettings(_) => {
                Some("give --prox, --step, --layers and --lambda or --thresholds".into())
            }
            TrainError::StrideOfMatrix { .. } => Some("leave out --stride".into()),
            TrainError::Backend(error) => hint(error),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<ExplainError>() {
        return match error {
            ExplainError::ReportExists(_) => Some("replace it with --force".into()),
            ExplainError::Singular { .. } => Some("set a larger --ridge".into()),
            ExplainError::GeneratedData => Some("name a folder of photographs with --data".into()),
            ExplainError::Train(error) => hint(error),
            ExplainError::Backend(error) => hint(error),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<ExperimentError>() {
        return match error {
            ExperimentError::OtherSettings { .. } => Some("name another folder with --out".into()),
            ExperimentError::Train(error) => hint(error),
            ExperimentError::Backend(error) => hint(error),
            _ => None,
        };
    }
    match error.downcast_ref::<BackendError>()? {
        BackendError::NotCompiled(backend) => {
            Some(format!("build it with `cargo run --release --features {backend} -- …`"))
        }
        BackendError::NoDevice(_) => None,
        BackendError::NoSuchDevice { .. } => Some("`pudle devices` lists them".into()),
    }
}
