//! The events of a recording, for the page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pudle_train::{Event, Events};
use serde_json::{Value, json};

use crate::error::Result;
use crate::subject::events::RecordedEvents;

/// Most events of a page, and most samples of their stretches.
const MOST_EVENTS: usize = 3000;
const MOST_SAMPLES: usize = 1 << 20;

/// The events that a page shows: `list` has atom, trial, time, amplitude, confidence and the largest magnitude of the stretch of
/// each; `traces` the stretch around each, in the channel of its atom, and the reconstruction there, a byte for each sample in
/// units of that magnitude over 127. Of many events, every second, third … of an atom is shown.
pub(crate) fn events(found: &RecordedEvents) -> Result<Value> {
    let RecordedEvents { events, recording } = found;
    let unit = events.rate.map_or(1.0, |rate| 1.0 / rate);
    let (taps, wide) = (events.filters.taps(), 2 * events.filters.taps());
    let most = MOST_EVENTS.min(MOST_SAMPLES / (2 * wide)).max(events.filters.atoms());
    let every = events.list.len().div_ceil(most).max(1);
    let (mut list, mut traces) = (Vec::new(), Vec::new());
    for atom in 0..events.filters.atoms() {
        let (channel, peak, _) = events.peak(atom);
        let own = events.list.iter().filter(|event| event.atom == atom);
        for event in own.step_by(every) {
            let first = event.start as isize - (taps / 2) as isize;
            let mut seen = vec![events.offset[channel]; wide];
            let samples = recording.samples();
            let from = first.max(0) as usize;
            let to = (first + wide as isize).clamp(0, samples as isize) as usize;
            let mut read = vec![0.0; recording.channels() * (to - from)];
            recording.read(event.trial, from, &mut read)?;
            let shift = (from as isize - first) as usize;
            seen[shift..shift + to - from]
                .copy_from_slice(&read[channel * (to - from)..][..to - from]);
            seen.iter_mut().for_each(|value| *value -= events.offset[channel]);
            let rebuilt = rebuilt(events, event, channel, first, wide);
            let all = || seen.iter().chain(&rebuilt);
            let largest = all().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
            traces.extend(all().map(|value| (value / largest * 127.0).round() as i8 as u8));
            let time = rounded((event.start + peak) as f64 * unit, 1e7);
            let amplitude = significant(events.amplitude(event));
            let confidence = rounded(f64::from(event.confidence), 1e4);
            let largest = significant(largest);
            list.push(json!([atom, event.trial, time, amplitude, confidence, largest]));
        }
    }
    let counts = events.counts();
    let per_second = events.seconds().map(|seconds| {
        counts.iter().map(|count| rounded(*count as f64 / seconds, 1e4)).collect::<Vec<_>>()
    });
    let channels = (0..events.filters.atoms()).map(|atom| events.peak(atom).0).collect::<Vec<_>>();
    Ok(json!({
        "seconds": events.rate.is_some(),
        "trials": recording.trials(),
        "length": recording.samples() as f64 * unit,
        "step": unit,
        "before": taps / 2,
        "taps": taps,
        "every": every,
        "counts": counts,
        "rates": per_second,
        "channels": channels,
        "single": recording.channels() == 1,
        "list": list,
        "traces": BASE64_STANDARD.encode(traces),
    }))
}

/// All events in a channel of a stretch, in units of the recording, less the level of the channel.
fn rebuilt(events: &Events, at: &Event, channel: usize, first: isize, wide: usize) -> Vec<f32> {
    let taps = events.filters.taps();
    let place = |event: &Event| (event.trial, event.start as isize);
    let from = (at.trial, first - taps as isize);
    let to = (at.trial, first + wide as isize);
    let from = events.list.partition_point(|event| place(event) <= from);
    let to = events.list.partition_point(|event| place(event) < to);
    let mut out = vec![0.0; wide];
    for event in &events.list[from..to] {
        let factor = event.size * events.scale[channel];
        let row = &events.filters.atom(event.atom)[channel * taps..][..taps];
        for (s, value) in row.iter().enumerate() {
            let sample = usize::try_from(event.start as isize + s as isize - first).ok();
            if let Some(sample) = sample.and_then(|sample| out.get_mut(sample)) {
                *sample += factor * value;
            }
        }
    }
    out
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

/// Five digits are enough for a page.
fn significant(value: f32) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(0.0)
}
