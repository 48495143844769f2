//! When atoms may occur: the onsets of stimuli or movements, which the experiment knows.

use std::ops::Range;
use std::path::Path;

use super::recording::Recording;
use crate::error::{DataError, Result};

/// A time at which an atom may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Onset {
    /// First sample of the atom.
    pub start: usize,
    /// Number of the atom; `None` if every atom may occur.
    pub atom: Option<usize>,
}

/// The onsets of every trial of a recording, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Onsets {
    trials: Vec<Vec<Onset>>,
}

impl Onsets {
    /// Reads a table (`.csv` or `.tsv`) with a first line of names. Columns: `time` in seconds or `sample`; `trial`, from 0, which
    /// may be left out if there is one; and `atom`, from 0, without which every atom may occur at every onset. Other columns are
    /// not read.
    ///
    /// # Errors
    /// Returns an error that names the file, and the line, if a column is missing, if a field is no number or has a fraction where
    /// it counts, if there is no such trial or sample in the recording, or if there are no onsets.
    pub fn read(path: &Path, recording: &Recording) -> Result<Self> {
        let fail = |reason: String| DataError::format(path, reason);
        let failed = |e: csv::Error| match e.into_kind() {
            csv::ErrorKind::Io(cause) => DataError::io(path, cause),
            other => fail(format!("{other:?}")),
        };
        let tabs = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(if tabs { b'\t' } else { b',' })
            .flexible(true)
            .trim(csv::Trim::All)
            .from_path(path)
            .map_err(failed)?;
        let names = reader.headers().map_err(failed)?.clone();
        let column = |name: &str| names.iter().position(|own| own.eq_ignore_ascii_case(name));
        let (trial, time, sample, atom) =
            (column("trial"), column("time"), column("sample"), column("atom"));
        if sample.is_none() && time.is_none() {
            return Err(fail(
                "has no column \"sample\" or \"time\"; its first line must name its columns".into(),
            ));
        }
        if sample.is_none() && recording.rate().is_none() {
            let reason = "gives times, but the sampling rate of the recording is not known";
            return Err(fail(reason.into()));
        }
        if trial.is_none() && recording.trials() > 1 {
            let count = recording.trials();
            let reason = format!("has no column \"trial\", but the recording has {count} trials");
            return Err(fail(reason));
        }
        let mut trials = vec![Vec::new(); recording.trials()];
        for row in reader.records() {
            let row = row.map_err(failed)?;
            let line = row.position().map_or(0, csv::Position::line);
            let number = |column: usize, most: f64| {
                let field = row.get(column).unwrap_or("");
                let value = field.parse::<f64>().ok().filter(|v| (0.0..most).contains(v));
                value.ok_or_else(|| {
                    let name = &names[column];
                    let range = format!("a number from 0, below {most}");
                    fail(format!("line {line}: {name} is \"{field}\", but must be {range}"))
                })
            };
            let whole = |column: usize, most: usize| {
                let value = number(column, most as f64)?;
                if value.fract() != 0.0 {
                    let name = &names[column];
                    let wrong =
                        format!("line {line}: {name} is {value}, but must be a whole number");
                    return Err(fail(wrong));
                }
                Ok(value as usize)
            };
            let trial = match trial {
                Some(column) => whole(column, recording.trials())?,
                None => 0,
            };
            let samples = recording.samples() as f64;
            let start = match (sample, time, recording.rate()) {
                (None, Some(column), Some(rate)) => {
                    let place = number(column, samples / rate)? * rate;
                    (place.round() as usize).min(recording.samples() - 1)
                }
                (column, ..) => whole(column.unwrap_or(0), recording.samples())?,
            };
            let atom = atom.map(|column| whole(column, 65536)).transpose()?;
            trials[trial].push(Onset { start, atom });
        }
        if trials.iter().all(Vec::is_empty) {
            return Err(fail("holds no onsets".into()));
        }
        trials.iter_mut().for_each(|onsets| {
            onsets.sort_unstable();
            onsets.dedup();
        });
        Ok(Self { trials })
    }

    /// The onsets of each trial.
    pub fn of_trials(mut trials: Vec<Vec<Onset>>) -> Self {
        trials.iter_mut().for_each(|onsets| onsets.sort_unstable());
        Self { trials }
    }

    /// The onsets of a trial, in order.
    pub fn trial(&self, trial: usize) -> &[Onset] {
        self.trials.get(trial).map_or(&[], Vec::as_slice)
    }

    /// Number of onsets of all trials.
    pub fn count(&self) -> usize {
        self.trials.iter().map(Vec::len).sum()
    }

    /// The largest number of an atom, if the table has numbers of atoms.
    pub fn last_atom(&self) -> Option<usize> {
        self.trials.iter().flatten().filter_map(|onset| onset.atom).max()
    }

    /// The places of a code of `atoms` atoms of `taps` samples, `[p, n − k + 1]`, where it may be other than zero in these samples
    /// of a trial: 1 there, and 0 elsewhere. An onset whose atom would reach beyond the last sample has no place.
    pub fn support(&self, trial: usize, span: Range<usize>, atoms: usize, taps: usize) -> Vec<f32> {
        let positions = (span.len() + 1).saturating_sub(taps);
        let mut support = vec![0.0; atoms * positions];
        for onset in self.trial(trial) {
            let Some(place) = onset.start.checked_sub(span.start).filter(|p| *p < positions) else {
                continue;
            };
            let own = onset.atom.map_or(0..atoms, |atom| atom..(atom + 1).min(atoms));
            own.for_each(|atom| support[atom * positions + place] = 1.0);
        }
        support
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(rate: Option<f64>) -> Recording {
        Recording::of_values(vec![0.0; 60], [3, 1, 20], rate).unwrap()
    }

    fn read(text: &str, rate: Option<f64>) -> std::result::Result<Onsets, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("onsets.csv");
        std::fs::write(&path, text).unwrap();
        Onsets::read(&path, &recording(rate)).map_err(|error| error.to_string())
    }

    #[test]
    fn tables_give_onsets_by_trial() {
        let onsets = read("size,atom,sample,trial\n1,1,5,2\n1,0,3,2\n2,0,0,0\n", None).unwrap();
        assert_eq!(onsets.trial(1), &[]);
        let at = |start, atom| Onset { start, atom };
        assert_eq!(onsets.trial(2), &[at(3, Some(0)), at(5, Some(1))]);
        assert_eq!((onsets.count(), onsets.last_atom()), (3, Some(1)));
        let support = onsets.support(2, 2..8, 2, 4);
        assert_eq!(support, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], "an atom fits at 2, 3 and 4 only");
        let times = read("time,trial\n0.04,0\n0.1,0\n", Some(100.0)).unwrap();
        assert_eq!(times.trial(0), &[at(4, None), at(10, None)]);
        assert_eq!(times.support(0, 0..20, 2, 17).iter().sum::<f32>(), 0.0);
        assert_eq!(times.support(0, 0..20, 2, 10).iter().sum::<f32>(), 4.0);
    }

    #[test]
    fn wrong_tables_are_named() {
        for (text, rate, wrong) in [
            ("trial,atom\n0,0\n", None, "sample"),
            ("time\n0.1\n", None, "sampling rate"),
            ("sample\n2\n", None, "has no column \"trial\", but the recording has 3 trials"),
            (
                "sample,trial\n20,0\n",
                None,
                "line 2: sample is \"20\", but must be a number from 0, below 20",
            ),
            ("sample,trial\n1,3\n", None, "line 2: trial is \"3\""),
            ("sample,atom,trial\n1,x,0\n", None, "line 2: atom is \"x\""),
            (
                "sample,atom,trial\n1,0.9,0\n",
                None,
                "line 2: atom is 0.9, but must be a whole number",
            ),
            ("sample,trial\n12.5,0\n", None, "line 2: sample is 12.5"),
            ("sample,trial\n1,1.7\n", None, "line 2: trial is 1.7"),
            ("sample,trial\n", None, "no onsets"),
        ] {
            let error = read(text, rate).unwrap_err();
            assert!(error.contains(wrong) && error.contains("onsets.csv"), "{error}");
        }
    }
}
