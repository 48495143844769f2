//! Waveforms and events of recordings whose truth is known.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pudle_core::{Backend, DictionaryConfig, Kernels};
use pudle_data::{DataConfig, Extent, Recording, SyntheticRecording, SyntheticRecordingConfig};
use pudle_train::{
    Checkpoint, EventFinder, EventScore, Events, Interrupter, OwnRecording, Preset, RunConfig,
    RunDir, Selection, train_opened,
};

const LENGTH: Extent = Extent::Samples(60);

fn on() -> impl FnMut(u64, u64) -> ControlFlow<()> {
    |_, _| ControlFlow::Continue(())
}

fn made(snr: f64, seed: u64, channels: usize) -> SyntheticRecording {
    let config = SyntheticRecordingConfig {
        waveforms: 3,
        channels,
        samples: 180_000,
        snr,
        seed,
        ..Default::default()
    };
    SyntheticRecording::new(config).unwrap()
}

/// The settings of a short training on a recording, which is written into `dir`.
fn settings(made: &SyntheticRecording, dir: &Path) -> RunConfig {
    let file = dir.join("recording.npy");
    made.write_npy(&file, &mut on()).unwrap();
    let mut config = Preset::Signals.config();
    config.data.set_folder(file).unwrap();
    if let DataConfig::Recordings(settings) = &mut config.data {
        settings.rate = Some(30_000.0);
    }
    config.training.steps = 60;
    config
}

fn train(mut config: RunConfig, atoms: usize, dir: &Path) -> PathBuf {
    let data = OwnRecording::open(&config).unwrap();
    data.fit(&mut config, atoms, LENGTH).unwrap();
    let opened = data.batches(&config).unwrap();
    let run = dir.join("run");
    train_opened(config, Some(opened), || RunDir::create(&run), Interrupter::new()).unwrap();
    run
}

fn found(run: &Path, recording: &Recording) -> Events {
    let device = Backend::default().device().unwrap();
    EventFinder::of_run(run, &device).unwrap().find(recording, &mut on()).unwrap()
}

/// Trains on a made recording, and compares what is found with the truth within two samples.
fn scored(snr: f64, seed: u64, channels: usize) -> EventScore {
    let dir = tempfile::tempdir().unwrap();
    let made = made(snr, seed, channels);
    let run = train(settings(&made, dir.path()), 3, dir.path());
    let events = found(&run, &made.recording());
    EventScore::of(&events, made.events(), made.waveforms(), 2)
}

fn check(score: &EventScore, [precision, recall, cosine]: [f64; 3]) {
    assert!(score.precision() >= precision, "{score:?}");
    assert!(score.recall() >= recall, "{score:?}");
    assert!(f64::from(score.least_cosine(3)) >= cosine, "{score:?}");
}

#[test]
fn events_are_found_at_10_db() {
    for seed in 0..2 {
        check(&scored(10.0, seed, 1), [0.95, 0.95, 0.98]);
    }
}

#[test]
fn events_are_found_at_0_db() {
    for seed in 0..2 {
        check(&scored(0.0, seed, 1), [0.85, 0.85, 0.95]);
    }
}

#[test]
fn channels_are_weighted() {
    let score = scored(10.0, 1, 4);
    check(&score, [0.95, 0.95, 0.98]);
    assert!(score.waveforms.iter().all(|pair| pair.channels >= 0.98), "{score:?}");
}

#[test]
fn trials_and_windows_do_not_change_events() {
    let dir = tempfile::tempdir().unwrap();
    let made = made(10.0, 0, 1);
    let run = train(settings(&made, dir.path()), 3, dir.path());
    let whole = found(&run, &made.recording());
    // The first stretch alone, which ends in another window: the same events but for those at its end.
    let samples = 100_000;
    let mut values = vec![0.0; samples];
    made.recording().read(0, 0, &mut values).unwrap();
    let part = Recording::of_values(values.clone(), [1, 1, samples], Some(30_000.0)).unwrap();
    let part = found(&run, &part);
    let inside = |events: &Events| -> Vec<(usize, usize)> {
        let before = events.list.iter().filter(|event| event.start < samples - 1000);
        before.map(|event| (event.start, event.atom)).collect()
    };
    assert!(inside(&part).len() > 30);
    assert_eq!(inside(&part), inside(&whole));
    // Two trials of the same samples have the same events.
    let twice =
        Recording::of_values([values.clone(), values].concat(), [2, 1, samples], None).unwrap();
    let twice = found(&run, &twice);
    let of = |trial: usize| -> Vec<(usize, usize)> {
        let own = twice.list.iter().filter(|event| event.trial == trial);
        own.map(|event| (event.start, event.atom)).collect()
    };
    assert_eq!(of(0), of(1));
}

#[test]
fn a_resumed_run_ends_at_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = settings(&made(10.0, 2, 1), dir.path());
    config.training.steps = 8;
    config.training.checkpoint_every = 4;
    let run = train(config, 3, dir.path());
    let device = Backend::default().device().unwrap();
    let atoms = |run: &Path| Checkpoint::read(run, &device).unwrap().model.atoms();
    let whole = atoms(&run);
    for file in ["model-8.bpk", "optim-8.bpk", "scheduler-8.bpk"] {
        let _ = std::fs::remove_file(run.join("checkpoint").join(file));
    }
    pudle_train::resume(&run, |_| Ok(()), Interrupter::new()).unwrap();
    assert_eq!(atoms(&run), whole);
}

#[test]
fn a_wanted_rate_gives_lambda() {
    let dir = tempfile::tempdir().unwrap();
    let made = made(10.0, 0, 1);
    let mut config = settings(&made, dir.path());
    let data = OwnRecording::open(&config).unwrap();
    data.fit(&mut config, 3, LENGTH).unwrap();
    let opened = data.batches(&config).unwrap();
    // Half of the events: their amplitudes differ by drift and jitter.
    let lambda = OwnRecording::find_lambda(&mut config, &opened, 15.0).unwrap();
    assert!(lambda > 10.0 && config.model.threshold.lambda() == lambda, "{lambda}");
    let error = OwnRecording::find_lambda(&mut config, &opened, 1e6).unwrap_err().to_string();
    assert!(error.contains("target_events"), "{error}");
}

#[test]
fn the_number_of_waveforms_is_found() {
    for seed in [0, 2] {
        let dir = tempfile::tempdir().unwrap();
        let made = made(10.0, seed, 1);
        let mut config = settings(&made, dir.path());
        let data = OwnRecording::open(&config).unwrap();
        data.fit(&mut config, 3, LENGTH).unwrap();
        let atoms = [2, 3, 4];
        let selection =
            Selection::of(data.recording(), &config, &atoms, &[4.0, 5.0], &mut on()).unwrap();
        assert_eq!(selection.candidates.len(), 6);
        assert_eq!(selection.candidates[selection.chosen].atoms, 3, "{selection:?}");
        assert!(selection.reason().contains("3 atoms"));
        let few = Selection::of(data.recording(), &config, &[0], &[4.0], &mut on());
        assert!(few.unwrap_err().to_string().contains("from 1 to 256"));
    }
}

#[test]
fn composed_layers_find_the_same_events() {
    let dir = tempfile::tempdir().unwrap();
    let made = made(10.0, 0, 2);
    let mut config = settings(&made, dir.path());
    config.training.steps = 4;
    let run = train(config, 3, dir.path());
    let device = Backend::default().device().unwrap();
    let samples = 20_000;
    let mut values = vec![0.0; 2 * samples];
    made.recording().read(0, 0, &mut values).unwrap();
    let recording = Recording::of_values(values, [1, 2, samples], None).unwrap();
    let of = |kernels| {
        let mut checkpoint = Checkpoint::read(&run, &device).unwrap();
        checkpoint.model = checkpoint.model.with_kernels(kernels).unwrap();
        let DataConfig::Recordings(settings) =
            RunConfig::read(&run.join("config.toml")).unwrap().data
        else {
            panic!("a recording")
        };
        let finder = EventFinder::new(checkpoint, settings, &device).unwrap();
        let events = finder.find(&recording, &mut on()).unwrap();
        events.list.iter().map(|event| (event.start, event.atom)).collect::<Vec<_>>()
    };
    assert!(!of(Kernels::Fused).is_empty());
    assert_eq!(of(Kernels::Fused), of(Kernels::Composed));
}

#[test]
fn other_runs_and_recordings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let made = made(10.0, 0, 1);
    let mut config = settings(&made, dir.path());
    let data = OwnRecording::open(&config).unwrap();
    let error = data.fit(&mut config, 3, Extent::Samples(2)).unwrap_err().to_string();
    assert!(error.contains("2 samples") && error.contains("from 4"), "{error}");
    data.fit(&mut config, 3, LENGTH).unwrap();
    assert!(matches!(config.model.dictionary, DictionaryConfig::Conv1d(f) if f.size == 60));
    config.training.steps = 1;
    let run = train(config, 3, dir.path());
    let device = Backend::default().device().unwrap();
    let finder = EventFinder::of_run(&run, &device).unwrap();
    let two = Recording::of_values(vec![0.5; 2000], [1, 2, 1000], None).unwrap();
    let error = finder.find(&two, &mut on()).unwrap_err().to_string();
    assert!(error.contains("2 channels"), "{error}");
    let short = Recording::of_values(vec![0.5; 20], [1, 1, 20], None).unwrap();
    assert!(finder.find(&short, &mut on()).unwrap_err().to_string().contains("fewer than"));
    let error = finder.clone().with_confidence(1.5).unwrap_err().to_string();
    assert!(error.contains("1.5"), "{error}");
    let stopped = finder.find(&made.recording(), &mut |_, _| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap_err().to_string(), "interrupted");
}
