//! Reports: one page that needs no other file, tables beside it, and figures.

pub mod charts;
pub mod content;
pub mod events;
pub mod files;
pub mod folder;
pub mod page;
pub mod removal;
pub mod summary;
pub mod tables;
pub mod whole_sheets;
pub mod window_sheets;

use std::path::Path;

use crate::data::DataKind;
use crate::error::Result;
use crate::event_figure::EventFigure;
use crate::explain::Explanation;
use crate::report::files::{write_chart, write_json, write_sheet};
use crate::report::folder::Folder;
use crate::report::summary::Summary;
use crate::subject::Subject;

/// Where a report is written, and what it is about.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions<'a> {
    /// The folder of the report.
    pub dir: &'a Path,
    /// Whether a report in this folder is replaced.
    pub replace: bool,
    /// Name of the run.
    pub run: &'a str,
    /// Seed of the run.
    pub seed: u64,
}

/// Writes the report of an explanation: `report.html`, `explanation.json`, `atoms.csv`, `contributions.csv`, `figures/`, and for a
/// recording `events.csv`. The folder appears complete or not at all.
///
/// # Errors
/// Returns an error if the folder holds anything that may not be replaced, if it cannot be written, or if training data can no
/// longer be read.
pub fn write_report(
    options: ReportOptions<'_>,
    subject: &dyn Subject,
    found: &Explanation,
) -> Result<Summary> {
    let folder = Folder::create(options.dir, options.replace)?;
    let summary = Summary::new(options.run, options.seed, subject, found);
    let page = page::page(&content::content(&summary, subject, found)?)?;
    folder.write("report.html", page.as_bytes())?;
    write_json(&folder, "explanation.json", &summary)?;
    folder.write("atoms.csv", &tables::atoms(found))?;
    folder.write("contributions.csv", &tables::contributions(subject, found))?;
    let (sheets, charts) = match subject.data_kind() {
        DataKind::Whole => (whole_sheets::sheets(subject, found)?, charts::charts(found)),
        DataKind::Windows(_) => (window_sheets::sheets(subject, found)?, Vec::new()),
    };
    for sheet in &sheets {
        write_sheet(&folder, sheet)?;
    }
    for chart in &charts {
        write_chart(&folder, chart)?;
    }
    if let Some(found) = &found.events {
        folder.write("events.csv", &found.events.table()?)?;
        let (svg, png) = EventFigure::new(&found.events, &found.recording, None)?.draw()?;
        folder.write("figures/events.svg", svg.as_bytes())?;
        folder.write("figures/events.png", &png)?;
    }
    let item = subject.words().item;
    for (k, input) in found.inputs.iter().enumerate() {
        let png = input.marked.clip().to_png()?;
        folder.write(&format!("figures/{item}-{k}.png"), &png)?;
    }
    folder.finish()?;
    Ok(summary)
}
