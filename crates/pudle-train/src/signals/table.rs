//! Tables of events and waveforms.

use std::path::Path;

use super::events::Events;
use crate::error::{Result, TrainError};
use crate::files::write_whole;

impl Events {
    /// Writes a table: `trial`, `time` in seconds (empty if the rate is not known) and `sample` of the largest sample of the event,
    /// `atom`, `channel` (where the atom is largest), `amplitude` there in units of the recording, `size` in standard deviations
    /// of the noise, and `confidence`; then, if they were asked for, a column for each channel with the amplitude there.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written. There is no file then.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, &self.table()?)
    }

    /// The table that [`write`](Self::write) writes, as CSV.
    ///
    /// # Errors
    /// Returns an error if it cannot be made.
    pub fn table(&self) -> Result<Vec<u8>> {
        events_table(self)
    }

    /// Writes a table of the atoms in units of the recording, a row for each sample: `atom`, `channel`, `sample`, `time` in seconds
    /// (empty if the rate is not known) and `value`. An event is this times its `size`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written. There is no file then.
    pub fn write_waveforms(&self, path: &Path) -> Result<()> {
        write_whole(path, &waveforms_table(self)?)
    }
}

/// The events as CSV.
pub(super) fn events_table(events: &Events) -> Result<Vec<u8>> {
    let mut names: Vec<String> =
        ["trial", "time", "sample", "atom", "channel", "amplitude", "size", "confidence"]
            .map(String::from)
            .to_vec();
    let channels = events.list.first().map_or(0, |event| event.channels.len());
    names.extend((0..channels).map(|channel| format!("channel_{channel}")));
    let peaks: Vec<_> = (0..events.filters.atoms()).map(|atom| events.peak(atom)).collect();
    let rows = events.list.iter().map(|event| {
        let (channel, offset, value) = peaks[event.atom];
        let sample = event.start + offset;
        let mut row = vec![
            event.trial.to_string(),
            time(events, sample),
            sample.to_string(),
            event.atom.to_string(),
            channel.to_string(),
            (event.size * value.abs()).to_string(),
            format!("{:.4}", event.size),
            format!("{:.4}", event.confidence),
        ];
        row.extend(event.channels.iter().map(f32::to_string));
        row
    });
    table(&names, rows)
}

/// The atoms as CSV.
pub(super) fn waveforms_table(events: &Events) -> Result<Vec<u8>> {
    let names = ["atom", "channel", "sample", "time", "value"].map(String::from);
    let waveforms = events.filters.unscaled(&events.scale);
    let taps = events.filters.taps();
    let size = taps * events.filters.channels();
    let rows = waveforms.values.iter().enumerate().map(|(k, value)| {
        let (atom, channel, sample) = (k / size, k % size / taps, k % taps);
        let place = [atom, channel, sample].map(|number| number.to_string());
        let mut row = place.to_vec();
        row.extend([time(events, sample), value.to_string()]);
        row
    });
    table(&names, rows)
}

/// A time in seconds, if the rate is known.
fn time(events: &Events, sample: usize) -> String {
    events.rate.map_or(String::new(), |rate| format!("{:.7}", sample as f64 / rate))
}

fn table(names: &[String], rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let failed = |error: csv::Error| TrainError::weights(Path::new("table"), error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names).map_err(failed)?;
    for row in rows {
        writer.write_record(&row).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| TrainError::weights(Path::new("table"), error))
}
