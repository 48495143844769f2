//! A figure of the events of a recording.

use pudle_data::{Missing, Recording};
use pudle_plot::{Axis, Chart, Line, Panels, Stroke};
use pudle_train::{Event, Events};

use crate::error::Result;

/// Most atoms whose waveforms are drawn, and most channels of each.
const MOST_ATOMS: usize = 6;
const MOST_CHANNELS: usize = 5;
/// Atoms side by side that the stretch of the recording is long, and its least samples.
const STRETCH: usize = 16;
const LEAST_STRETCH: usize = 400;
/// Most events of an atom that the raster shows.
const MOST_TICKS: usize = 1500;
/// Bars of a histogram.
const BARS: usize = 30;
/// Colours of the recording and of its reconstruction.
const BLACK: usize = 6;
const ORANGE: usize = 1;

/// What happens in a recording, in one figure: the waveform of each atom with its scale; a stretch of the recording with its
/// reconstruction; the times of all events; and histograms of amplitudes and of the intervals between events of an atom.
#[derive(Clone, Debug)]
pub struct EventFigure {
    panels: Panels,
}

impl EventFigure {
    /// A figure of events. The stretch starts at sample `from` of the first trial; if it is `None`, where there are most events.
    ///
    /// # Errors
    /// Returns an error if the recording cannot be read.
    pub fn new(events: &Events, recording: &Recording, from: Option<usize>) -> Result<Self> {
        let scales = Scales { rate: events.rate, long: events.samples };
        let atoms = events.filters.atoms().min(MOST_ATOMS);
        let waveforms = (0..atoms).map(|atom| waveform(events, atom, scales)).collect();
        let rows = vec![
            (380, waveforms),
            (400, vec![stretch(events, recording, from, scales)?]),
            (170 + 40 * events.filters.atoms() as u32, vec![raster(events, scales)]),
            (420, vec![amplitudes(events), intervals(events, scales)]),
        ];
        let title = format!("{} events of {}", events.list.len(), recording.path().display());
        Ok(Self { panels: Panels { name: "events".into(), title, rows } })
    }

    /// The figure as an SVG text and as the bytes of a PNG file.
    ///
    /// # Errors
    /// Returns an error if it cannot be drawn.
    pub fn draw(&self) -> Result<(String, Vec<u8>)> {
        Ok(self.panels.draw()?)
    }
}

/// How samples become times.
#[derive(Clone, Copy)]
struct Scales {
    rate: Option<f64>,
    long: usize,
}

impl Scales {
    /// Label of a short time, and what a sample is in it: milliseconds, seconds or samples.
    fn short(self, samples: usize) -> (&'static str, f64) {
        match self.rate {
            Some(rate) if samples as f64 / rate < 2.0 => ("time (ms)", 1e3 / rate),
            Some(rate) => ("time (s)", 1.0 / rate),
            None => ("sample", 1.0),
        }
    }

    /// Label of a time of the recording, and what a sample is in it.
    fn whole(self) -> (&'static str, f64) {
        match self.rate {
            Some(rate) if self.long as f64 / rate > 600.0 => ("time (min)", 1.0 / (60.0 * rate)),
            Some(rate) => ("time (s)", 1.0 / rate),
            None => ("sample", 1.0),
        }
    }
}

fn chart(title: String, x: &str, y: &str, lines: Vec<Line>) -> Chart {
    let (x, y) = (Axis::linear(x), Axis::linear(y));
    Chart { name: "part".into(), title, x, y, lines }
}

/// The waveform of an atom at the size of its median event, in the channels where it is largest.
fn waveform(events: &Events, atom: usize, scales: Scales) -> Chart {
    let taps = events.filters.taps();
    let (label, unit) = scales.short(taps);
    let mut sizes: Vec<f32> =
        events.list.iter().filter(|e| e.atom == atom).map(|e| e.size).collect();
    sizes.sort_by(f32::total_cmp);
    let size = sizes.get(sizes.len() / 2).copied().unwrap_or(1.0);
    let rows: Vec<Vec<f32>> = events
        .filters
        .atom(atom)
        .chunks_exact(taps)
        .zip(&events.scale)
        .map(|(row, scale)| row.iter().map(|value| size * value * scale).collect())
        .collect();
    let norm = |channel: &usize| rows[*channel].iter().map(|v| v * v).sum::<f32>();
    let mut channels: Vec<usize> = (0..rows.len()).collect();
    channels.sort_by(|a, b| norm(b).total_cmp(&norm(a)));
    channels.truncate(MOST_CHANNELS);
    let line = |(k, channel): (usize, &usize)| {
        let points = rows[*channel].iter().enumerate();
        let points = points.map(|(s, value)| [s as f64 * unit, f64::from(*value)]).collect();
        let colour = if rows.len() == 1 { atom } else { k };
        Line::new(String::new(), points, colour)
    };
    let lines = channels.iter().enumerate().map(line).collect();
    let count = sizes.len();
    let place = if rows.len() == 1 { String::new() } else { format!(", channel {}", channels[0]) };
    chart(format!("atom {atom}: {count} events{place}"), label, "", lines)
}

/// A stretch of the recording in the channel where most events are largest, and its reconstruction.
fn stretch(
    events: &Events,
    recording: &Recording,
    from: Option<usize>,
    scales: Scales,
) -> Result<Chart> {
    let (samples, channels) = (recording.samples(), recording.channels());
    let length = (STRETCH * events.filters.taps()).max(LEAST_STRETCH).min(samples);
    let first = from.unwrap_or_else(|| busiest(events, length)).min(samples - length);
    let inside: Vec<&Event> = events
        .list
        .iter()
        .filter(|e| e.trial == 0)
        .filter(|e| e.start + events.filters.taps() > first && e.start < first + length)
        .collect();
    let mut counts = vec![0; channels];
    inside.iter().for_each(|event| counts[events.peak(event.atom).0] += 1);
    let channel = (0..channels).rev().max_by_key(|channel| counts[*channel]).unwrap_or(0);
    let mut values = vec![0.0; channels * length];
    recording.read_with(Missing::Nan, 0, first, &mut values)?;
    // A gap is drawn at the level between events.
    let level = events.offset[channel];
    values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = level);
    let mut rebuilt = vec![events.offset[channel]; length];
    let taps = events.filters.taps();
    for event in inside {
        let row = &events.filters.atom(event.atom)[channel * taps..][..taps];
        for (s, value) in row.iter().enumerate() {
            let place = (event.start + s).checked_sub(first);
            if let Some(sample) = place.and_then(|place| rebuilt.get_mut(place)) {
                *sample += event.size * value * events.scale[channel];
            }
        }
    }
    let (label, unit) = match scales.rate {
        Some(rate) => ("time (s)", 1.0 / rate),
        None => ("sample", 1.0),
    };
    let points = |values: &[f32]| {
        let values = values.iter().enumerate();
        values.map(|(k, v)| [(first + k) as f64 * unit, f64::from(*v)]).collect()
    };
    let lines = vec![
        Line::new("recording", points(&values[channel * length..][..length]), BLACK),
        Line::new("its events", points(&rebuilt), ORANGE),
    ];
    let place = if channels == 1 { String::new() } else { format!(", channel {channel}") };
    Ok(chart(format!("a stretch of the recording{place}"), label, "", lines))
}

/// The first sample of the stretch of the first trial with most events.
fn busiest(events: &Events, length: usize) -> usize {
    let starts: Vec<usize> =
        events.list.iter().filter(|e| e.trial == 0).map(|event| event.start).collect();
    let (mut best, mut end) = ((0, 0), 0);
    for (k, start) in starts.iter().enumerate() {
        while end < starts.len() && starts[end] < start + length - events.filters.taps() {
            end += 1;
        }
        if end - k > best.0 {
            best = (end - k, start.saturating_sub(events.filters.taps() / 2));
        }
    }
    best.1
}

/// The times of all events, a row for each atom. Of many events, every second, third … is shown.
fn raster(events: &Events, scales: Scales) -> Chart {
    let (label, unit) = scales.whole();
    let mut thinned = 1;
    let lines = (0..events.filters.atoms())
        .map(|atom| {
            let (_, offset, _) = events.peak(atom);
            let own: Vec<&Event> = events.list.iter().filter(|e| e.atom == atom).collect();
            let every = own.len().div_ceil(MOST_TICKS).max(1);
            thinned = thinned.max(every);
            let points = own.iter().step_by(every);
            let points = points.map(|e| [(e.start + offset) as f64 * unit, atom as f64]).collect();
            Line::new(String::new(), points, atom).with_stroke(Stroke::Ticks)
        })
        .collect();
    let title = match thinned {
        1 => "events".to_owned(),
        every => format!("events (at most every {every}th of an atom is shown)"),
    };
    chart(title, label, "atom", lines)
}

fn amplitudes(events: &Events) -> Chart {
    let of = |atom: usize| {
        let height = events.peak(atom).2.abs();
        events.list.iter().filter(move |e| e.atom == atom).map(move |e| f64::from(e.size * height))
    };
    let lines = histograms(events.filters.atoms(), |atom| of(atom).collect());
    chart("amplitudes".into(), "amplitude", "events", lines)
}

/// Histograms of the time to the next event of the same atom, up to the 95th percentile.
fn intervals(events: &Events, scales: Scales) -> Chart {
    let mut all: Vec<Vec<f64>> = (0..events.filters.atoms())
        .map(|atom| {
            let own: Vec<&Event> = events.list.iter().filter(|e| e.atom == atom).collect();
            let pairs = own.windows(2).filter(|pair| pair[0].trial == pair[1].trial);
            pairs.map(|pair| (pair[1].start - pair[0].start) as f64).collect()
        })
        .collect();
    let mut together: Vec<f64> = all.iter().flatten().copied().collect();
    together.sort_by(f64::total_cmp);
    let most = together.get(together.len() * 19 / 20).copied().unwrap_or(1.0);
    let (label, unit) = scales.short(most as usize);
    for values in &mut all {
        values.retain(|value| *value <= most);
        values.iter_mut().for_each(|value| *value *= unit);
    }
    let lines = histograms(all.len(), |atom| all[atom].clone());
    chart("intervals between events of an atom".into(), label, "events", lines)
}

/// A histogram for each atom, with the same bars, as the line along their tops.
fn histograms(atoms: usize, of: impl Fn(usize) -> Vec<f64>) -> Vec<Line> {
    let values: Vec<Vec<f64>> = (0..atoms).map(of).collect();
    let all = || values.iter().flatten().copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    if low > high {
        return Vec::new();
    }
    let width = ((high - low) / BARS as f64).max(1e-12);
    let line = |(atom, values): (usize, &Vec<f64>)| {
        let mut counts = vec![0usize; BARS];
        for value in values {
            counts[(((value - low) / width) as usize).min(BARS - 1)] += 1;
        }
        let tops = counts.iter().enumerate().flat_map(|(k, count)| {
            let left = low + k as f64 * width;
            [[left, *count as f64], [left + width, *count as f64]]
        });
        Line::new(format!("atom {atom}"), tops.collect(), atom)
    };
    values.iter().enumerate().map(line).collect()
}
