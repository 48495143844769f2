//! Recordings in files and made ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::source::Source;

fn array(dir: &Path, name: &str, shape: &str, values: &[f32]) -> PathBuf {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn open(path: &Path, time_first: bool) -> Result<Recording, String> {
    let options = RecordingOptions { time_first, ..Default::default() };
    Recording::open(path, options).map_err(|error| error.to_string())
}

fn all(recording: &Recording, trial: usize) -> Vec<f32> {
    let mut out = vec![0.0; recording.channels() * recording.samples()];
    recording.read(trial, 0, &mut out).unwrap();
    out
}

#[test]
fn arrays_have_one_to_three_axes() {
    let dir = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..24).map(|k| k as f32).collect();
    let shape = |r: &Recording| [r.trials(), r.channels(), r.samples()];
    let one = open(&array(dir.path(), "a.npy", "(24,)", &values), false).unwrap();
    assert_eq!((shape(&one), all(&one, 0)), ([1, 1, 24], values.clone()));
    let two = array(dir.path(), "b.npy", "(2, 12)", &values);
    assert_eq!(shape(&open(&two, false).unwrap()), [1, 2, 12]);
    let turned = open(&two, true).unwrap();
    assert_eq!(shape(&turned), [1, 12, 2]);
    assert_eq!(all(&turned, 0)[..4], [0.0, 12.0, 1.0, 13.0]);
    let three = open(&array(dir.path(), "c.npy", "(3, 2, 4)", &values), false).unwrap();
    assert_eq!(shape(&three), [3, 2, 4]);
    let mut part = [0.0; 4];
    three.read(2, 1, &mut part).unwrap();
    assert_eq!(part, [17.0, 18.0, 21.0, 22.0]);
    let four = array(dir.path(), "d.npy", "(3, 2, 2, 2)", &values);
    assert!(open(&four, false).unwrap_err().contains("3×2×2×2"));
}

#[test]
fn tables_have_a_row_for_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    std::fs::write(&path, "left,right\n1,10\n2,20\n3,30\n").unwrap();
    let recording = open(&path, false).unwrap();
    assert_eq!((recording.channels(), recording.samples()), (2, 3));
    assert_eq!(all(&recording, 0), [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
}

#[test]
fn wav_files_have_a_rate_and_full_scale_of_1() {
    let dir = tempfile::tempdir().unwrap();
    for (bits, format) in [
        (8, hound::SampleFormat::Int),
        (16, hound::SampleFormat::Int),
        (24, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Float),
    ] {
        let path = dir.path().join("a.wav");
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8000,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for value in [0.5f32, -1.0, 0.25, 0.0] {
            match format {
                hound::SampleFormat::Float => writer.write_sample(value).unwrap(),
                _ => {
                    let whole = f64::from(value) * 2f64.powi(i32::from(bits) - 1);
                    writer.write_sample(whole as i32).unwrap();
                }
            }
        }
        writer.finalize().unwrap();
        let recording = open(&path, false).unwrap();
        assert_eq!(recording.rate(), Some(8000.0));
        assert_eq!(all(&recording, 0), [0.5, 0.25, -1.0, 0.0], "{bits} bits, {format:?}");
    }
    let bytes = std::fs::read(dir.path().join("a.wav")).unwrap();
    std::fs::write(dir.path().join("b.wav"), &bytes[..bytes.len() - 3]).unwrap();
    assert!(open(&dir.path().join("b.wav"), false).unwrap_err().contains("b.wav"));
}

#[test]
fn a_number_that_is_not_finite_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let values = [1.0, 2.0, 3.0, 4.0, f32::NAN, 6.0];
    let recording = open(&array(dir.path(), "a.npy", "(2, 3)", &values), false).unwrap();
    let mut out = [0.0; 6];
    let error = recording.read(0, 0, &mut out).unwrap_err().to_string();
    assert!(error.contains("trial 0, channel 1, sample 1"), "{error}");
}

#[test]
fn noise_is_measured_between_events() {
    let config = SyntheticRecordingConfig { channels: 3, snr: 20.0, ..Default::default() };
    let made = SyntheticRecording::new(config).unwrap();
    for noise in ChannelNoise::measure(&made.recording()).unwrap() {
        assert!(noise.level.abs() < 0.1 * made.noise());
        let ratio = noise.deviation / made.noise();
        assert!((0.95..1.2).contains(&ratio), "{ratio}");
    }
    let flat = Recording::of_values(vec![1.0; 100], [1, 1, 100], None).unwrap();
    assert!(ChannelNoise::measure(&flat).unwrap_err().to_string().contains("channel 0"));
}

#[test]
fn made_samples_do_not_depend_on_how_they_are_read() {
    let config =
        SyntheticRecordingConfig { channels: 2, samples: 20_000, seed: 3, ..Default::default() };
    let made = SyntheticRecording::new(config).unwrap();
    let whole = all(&made.recording(), 0);
    let mut part = vec![0.0; 2 * 9000];
    made.recording().read(0, 1234, &mut part).unwrap();
    assert_eq!(part[..9000], whole[1234..10_234]);
    assert_eq!(part[9000..], whole[21_234..30_234]);
}

#[test]
fn made_events_have_the_signal_to_noise_ratio() {
    let config = SyntheticRecordingConfig { snr: 0.0, channels: 4, ..Default::default() };
    let made = SyntheticRecording::new(config).unwrap();
    assert_eq!(made.noise(), 1.0);
    for j in 0..4 {
        let waveform = made.waveforms().waveform(j);
        let squares = waveform.chunks(60).map(|row| row.iter().map(|v| v * v).sum::<f32>() / 60.0);
        let largest = squares.fold(0.0, f32::max);
        assert!((largest - 1.0).abs() < 1e-3, "{largest}");
        for i in 0..j {
            let other = made.waveforms().waveform(i);
            assert!(Waveforms::similarity(waveform, other, 4, true).0.abs() < 0.7);
        }
        let count = made.events().iter().filter(|event| event.waveform == j).count();
        assert!((60..140).contains(&count), "{count} events in 10 s at 10 a second");
    }
}

#[test]
fn similarity_finds_the_shift() {
    let a = [0.0, 1.0, -2.0, 0.5, 0.0, 0.0];
    let b = [0.0, 0.0, 0.0, 1.0, -2.0, 0.5];
    let (cosine, lag) = Waveforms::similarity(&a, &b, 1, false);
    assert!((cosine - 1.0).abs() < 1e-6 && lag == -2, "{cosine} {lag}");
}

#[test]
fn windows_are_shifted_scaled_and_the_same_at_every_reading() {
    let values: Vec<f32> = (0..200).map(|k| k as f32).collect();
    let recording = Arc::new(Recording::of_values(values, [2, 1, 100], None).unwrap());
    let windows = RecordingWindows::new(recording, [&[10.0], &[2.0]], 8, 3, 7).unwrap();
    let batch = windows.batch(5).unwrap();
    assert_eq!(batch.shape, [3, 1, 8]);
    assert_eq!(batch, windows.batch(5).unwrap());
    assert_ne!(batch.input, windows.batch(6).unwrap().input);
    let first = 2.0 * batch.input[0] + 10.0;
    assert_eq!(2.0 * batch.input[7] + 10.0, first + 7.0);
    let held = windows.of_span(80..100, true);
    assert_eq!(held.consecutive(), 4);
    let starts: Vec<f32> = (0..2)
        .flat_map(|k| {
            held.batch(k).unwrap().input.chunks(8).map(|w| 2.0 * w[0] + 10.0).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(starts[..5], [80.0, 88.0, 180.0, 188.0, 80.0]);
}

#[test]
fn lengths_have_units() {
    let samples = |text: &str, rate| text.parse::<Extent>().unwrap().samples(rate).unwrap();
    assert_eq!(samples("2ms", Some(30_000.0)), 60);
    assert_eq!(samples("0.5 s", Some(100.0)), 50);
    assert_eq!(samples("250us", Some(20_000.0)), 5);
    assert_eq!(samples("64", None), 64);
    for text in ["", "0", "-2ms", "2 hours", "ms", "nanms"] {
        assert!(text.parse::<Extent>().unwrap_err().contains(text));
    }
}

#[test]
fn windows_avoid_gaps_and_noise_is_measured_beside_them() {
    let mut values: Vec<f32> = (0..200).map(|k| (k as f32 * 0.7).sin() + 3.0).collect();
    values[60..80].fill(f32::NAN);
    values[150] = f32::NAN;
    let recording = Arc::new(Recording::of_values(values, [2, 1, 100], None).unwrap());
    let whole = RecordingWindows::new(recording.clone(), [&[0.0], &[1.0]], 10, 8, 7).unwrap();
    assert!((0..20).any(|step| whole.batch(step).is_err()), "NaN is an error");
    let windows = whole.clone().with_missing(crate::Missing::Nan);
    for step in 0..40 {
        let batch = windows.batch(step).unwrap();
        assert!(batch.input.iter().all(|value| value.is_finite()));
        assert_eq!(batch, windows.batch(step).unwrap());
    }
    let held = windows.of_span(50..100, true);
    let places: Vec<f32> = held.batch(0).unwrap().input.chunks(10).map(|w| w[0]).collect();
    let at = |k: usize| (k as f32 * 0.7).sin() + 3.0;
    assert_eq!(places[..3], [at(50), at(80), at(80)], "windows in a gap are the next ones");
    let noise = ChannelNoise::measure_with(&recording, crate::Missing::Nan).unwrap();
    assert!((noise[0].level - 3.0).abs() < 0.2 && noise[0].deviation > 0.5);
    assert!(ChannelNoise::measure(&recording).is_err());
    let gap = Recording::of_values(vec![f32::NAN; 100], [1, 1, 100], None).unwrap();
    let error = ChannelNoise::measure_with(&gap, crate::Missing::Nan).unwrap_err().to_string();
    assert!(error.contains("gap"), "{error}");
    let windows = RecordingWindows::new(Arc::new(gap), [&[0.0], &[1.0]], 10, 1, 0).unwrap();
    let error = windows.with_missing(crate::Missing::Nan).batch(0).unwrap_err().to_string();
    assert!(error.contains("gaps in all windows of 10 samples"), "{error}");
}

#[test]
fn windows_with_onsets_have_a_support() {
    let recording = Arc::new(Recording::of_values(vec![1.0; 60], [3, 1, 20], None).unwrap());
    let onsets = Onsets::of_trials(vec![
        vec![Onset { start: 2, atom: Some(1) }],
        vec![Onset { start: 15, atom: None }],
        vec![Onset { start: 19, atom: Some(0) }],
    ]);
    let windows = RecordingWindows::new(recording, [&[0.0], &[1.0]], 20, 2, 7)
        .unwrap()
        .with_onsets(Arc::new(onsets), CodeShape { atoms: 2, taps: 4 })
        .of_trials(1..3, true);
    let support = windows.batch(0).unwrap().support.unwrap();
    assert_eq!(support.shape, [2, 2, 17]);
    let ones: Vec<usize> = (0..68).filter(|k| support.values[*k] == 1.0).collect();
    assert_eq!(ones, [15, 17 + 15]);
}
