//! The figures of a run's weights.

use std::path::Path;

use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::metrics::VALID;
use crate::run_dir::CONFIG;

/// The figures of the last validation of a run, or of its last step if it has no validation. For a run with patience,
/// whose weights are those of the smallest loss, of that validation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunFigures {
    /// The step.
    pub step: u64,
    /// Whether the data are held out of training.
    pub held_out: bool,
    /// The loss, mean over the data.
    pub loss: f64,
    /// `½‖x − D z‖²`, mean over the data.
    pub fit: f64,
    /// Share of the code's entries that are not zero.
    pub active: f64,
}

impl RunFigures {
    /// Reads them from `metrics.csv` in a run directory; `None` if the file has no row.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let patient = RunConfig::read(&dir.join(CONFIG))?.training.patience.is_some();
        let path = dir.join("metrics.csv");
        let failed = |error| TrainError::io(&path)(std::io::Error::other::<csv::Error>(error));
        let mut rows = csv::ReaderBuilder::new().flexible(true).from_path(&path).map_err(failed)?;
        let mut last: Option<Self> = None;
        for row in rows.records() {
            let row = row.map_err(failed)?;
            let number = |k: usize| row.get(k).and_then(|text| text.parse::<f64>().ok());
            let held_out = row.get(1) == Some(VALID);
            let (Some(step), Some(loss), Some(fit), Some(active)) =
                (number(0), number(2), number(3), number(5))
            else {
                continue;
            };
            let replaces = |last: Self| match (held_out, last.held_out) {
                (true, true) => !patient || loss < last.loss,
                (held_out, last) => held_out || !last,
            };
            if last.is_none_or(replaces) {
                last = Some(Self { step: step as u64, held_out, loss, fit, active });
            }
        }
        Ok(last)
    }
}
