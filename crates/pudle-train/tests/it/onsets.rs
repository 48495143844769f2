//! Kernels at known onsets, whose truth is known; gaps; and the forms of atoms.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pudle_core::{Backend, Observation};
use pudle_data::{
    DataConfig, Extent, Missing, Recording, SyntheticRaster, SyntheticRasterConfig,
    SyntheticRecording, SyntheticRecordingConfig,
};
use pudle_train::{
    Checkpoint, Coder, EventFinder, EventScore, Interrupter, OnsetResults, OwnRecording, Preset,
    RunConfig, RunDir, train_opened,
};

fn on() -> impl FnMut(u64, u64) -> ControlFlow<()> {
    |_, _| ControlFlow::Continue(())
}

/// The settings of a run on trials with known onsets, which are written into `dir`.
fn settings(made: &SyntheticRaster, observation: Observation, dir: &Path) -> RunConfig {
    let (raster, onsets) = (dir.join("raster.npy"), dir.join("onsets.csv"));
    std::fs::write(&raster, made.to_npy()).unwrap();
    std::fs::write(&onsets, made.onset_table()).unwrap();
    let mut config = Preset::Signals.config();
    config.data.set_folder(raster).unwrap();
    if let DataConfig::Recordings(settings) = &mut config.data {
        settings.rate = Some(1000.0);
        settings.onsets = Some(onsets);
        settings.validation = 0.0;
    }
    config.model = config.model.with_observation(observation).with_shared(true).with_lambda(0.0);
    config
}

/// Trains a run, with kernels as smooth as is best on trials that are held out.
fn train(mut config: RunConfig, steps: u64, dir: &Path) -> PathBuf {
    let data = OwnRecording::open(&config).unwrap();
    let atoms = data.atoms_of_onsets(&config).unwrap().unwrap();
    data.fit(&mut config, atoms, Extent::Samples(60)).unwrap();
    config.training.steps = steps;
    config.training.batch = 16;
    let opened = data.batches(&config).unwrap();
    if config.training.smooth == 0.0 {
        let smooth = OwnRecording::find_smooth(&mut config, &opened).unwrap();
        assert!(smooth > 0.0 && config.training.smooth == smooth);
    }
    let run = dir.join("run");
    train_opened(config, Some(opened), || RunDir::create(&run), Interrupter::new()).unwrap();
    run
}

fn results(run: &Path) -> OnsetResults {
    OnsetResults::of_run(run, &Backend::default().device().unwrap()).unwrap().unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

/// The smallest cosine of a kernel with the truth.
fn least_cosine(made: &SyntheticRaster, results: &OnsetResults) -> f32 {
    let kernels = results.kernels();
    let of = |(j, kernel): (usize, &[f32])| cosine(kernel, made.kernels().waveform(j));
    kernels.chunks_exact(60).enumerate().map(of).fold(1.0, f32::min)
}

#[test]
fn kernels_of_spikes_are_found_and_gaussian_ones_are_worse() {
    let made = SyntheticRaster::new(SyntheticRasterConfig { trials: 250, ..Default::default() });
    let made = made.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bernoulli = "bernoulli".parse().unwrap();
    let run = train(settings(&made, bernoulli, dir.path()), 2, dir.path());
    let found = results(&run);
    let spikes = least_cosine(&made, &found);
    assert!(spikes >= 0.95, "{spikes}");
    // Not only their shape: heights within a third of the truth.
    for (j, kernel) in found.kernels().chunks_exact(60).enumerate() {
        let truth = made.kernels().waveform(j);
        let ratio =
            kernel.iter().map(|v| v * v).sum::<f32>() / truth.iter().map(|v| v * v).sum::<f32>();
        assert!((0.5..1.7).contains(&ratio), "{ratio}");
    }
    // Baselines follow the truth from trial to trial, and are inferred, not subtracted.
    // Five spikes tell a log-odds to 0.45 only.
    let follows = cosine(&centred(&found.baselines), &centred(made.baselines()));
    assert!(follows > 0.85, "{follows}");
    assert!(found.sizes.iter().all(|size| *size > 0.0));
    assert_eq!(found.events.iter().map(Vec::len).sum::<usize>(), made.onsets().count());
    let tables = found.write(dir.path()).unwrap();
    let lines = |k: usize| std::fs::read_to_string(&tables[k]).unwrap().lines().count() - 1;
    assert_eq!([lines(0), lines(1), lines(2)], [120, made.onsets().count(), 250]);
    let device = Backend::default().device().unwrap();
    let refused = EventFinder::of_run(&run, &device).unwrap_err().to_string();
    assert!(refused.contains("events.csv"), "{refused}");
    let refused = Coder::new(Checkpoint::read(&run, &device).unwrap(), &device).unwrap_err();
    assert!(refused.to_string().contains("known onsets"), "{refused}");

    let dir = tempfile::tempdir().unwrap();
    let run = train(settings(&made, Observation::default(), dir.path()), 2, dir.path());
    let gaussian = least_cosine(&made, &results(&run));
    assert!(gaussian < spikes - 0.05, "{gaussian} for {spikes}");
}

fn centred(values: &[f32]) -> Vec<f32> {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    values.iter().map(|value| value - mean).collect()
}

#[test]
fn training_leaves_the_convex_optimum_where_it_is() {
    let made = SyntheticRaster::new(SyntheticRasterConfig { trials: 60, ..Default::default() });
    let made = made.unwrap();
    for name in ["bernoulli", "poisson:1"] {
        let at = |steps| {
            let dir = tempfile::tempdir().unwrap();
            let mut config = settings(&made, name.parse().unwrap(), dir.path());
            config.training.smooth = 100.0;
            results(&train(config, steps, dir.path())).kernels()
        };
        let (start, end) = (at(1), at(8));
        assert!(cosine(&start, &end) > 0.999 && start != end);
    }
}

/// The layers come near the sizes only slowly where counts are rare for their largest mean: the results do not depend on it.
#[test]
fn kernels_have_their_height_whatever_the_largest_mean() {
    let made = SyntheticRaster::new(SyntheticRasterConfig { trials: 120, ..Default::default() });
    let made = made.unwrap();
    let norm = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let truth: Vec<f32> = (0..2).flat_map(|k| made.kernels().waveform(k).to_vec()).collect();
    let height = |name: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut config = settings(&made, name.parse().unwrap(), dir.path());
        config.training.smooth = 100.0;
        let found = results(&train(config, 2, dir.path()));
        let sizes = found.events.iter().flatten().map(|(onset, size)| (onset.atom, *size));
        assert!(sizes.clone().all(|(atom, size)| size == found.sizes[atom.unwrap()]));
        norm(&found.kernels()) / norm(&truth)
    };
    let (small, large) = (height("poisson:1"), height("poisson:10"));
    assert!((small / large - 1.0).abs() < 0.01, "{small} {large}");
    let bernoulli = height("bernoulli");
    assert!((0.75..1.25).contains(&bernoulli), "{bernoulli}");
}

#[test]
fn counts_need_onsets_and_must_be_counts() {
    let made = SyntheticRaster::new(SyntheticRasterConfig { trials: 8, ..Default::default() });
    let made = made.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bernoulli = "bernoulli".parse().unwrap();
    let mut config = settings(&made, bernoulli, dir.path());
    if let DataConfig::Recordings(settings) = &mut config.data {
        settings.onsets = None;
    }
    let data = OwnRecording::open(&config).unwrap();
    let error = data.fit(&mut config, 2, Extent::Samples(60)).unwrap_err().to_string();
    assert!(error.contains("known onsets only"), "{error}");

    let refused = |config: &mut RunConfig, atoms: usize| {
        let data = OwnRecording::open(config).unwrap();
        data.fit(config, atoms, Extent::Samples(60)).unwrap();
        let opened = data.batches(config).map_err(|error| error.to_string())?;
        OwnRecording::find_smooth(config, &opened).map_err(|error| error.to_string())
    };
    let config = settings(&made, bernoulli, dir.path());
    let error = refused(&mut config.clone(), 1).unwrap_err();
    assert!(error.contains("atom 1 (from 0), but there are 1"), "{error}");
    let error = refused(&mut config.clone(), 3).unwrap_err();
    assert!(error.contains("atom 2 (from 0) has no onset"), "{error}");
    std::fs::write(dir.path().join("onsets.csv"), "trial,sample\n0,5\n1,7\n").unwrap();
    let error = refused(&mut config.clone(), 2).unwrap_err();
    assert!(error.contains("column \"atom\""), "{error}");
    std::fs::write(dir.path().join("onsets.csv"), "trial,sample\n0,999\n").unwrap();
    let error = refused(&mut config.clone(), 1).unwrap_err();
    assert!(error.contains("before the end"), "{error}");
    let values: Vec<f32> = (0..4000).map(|k| (k % 3) as f32).collect();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1, 1000), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    std::fs::write(dir.path().join("raster.npy"), bytes).unwrap();
    std::fs::write(dir.path().join("onsets.csv"), "trial,sample\n0,5\n1,7\n").unwrap();
    let error = refused(&mut config.clone(), 1).unwrap_err();
    assert!(error.contains("trial 0 (from 0) has 2, which is no count of binomial:1"), "{error}");
}

/// A short training on a recording in `dir`, with changed settings.
fn found(
    made: &SyntheticRecording,
    values: Option<Vec<f32>>,
    dir: &Path,
    change: impl Fn(&mut RunConfig),
) -> (pudle_train::Events, EventScore) {
    let file = dir.join("recording.npy");
    match &values {
        None => made.write_npy(&file, &mut on()).unwrap(),
        Some(values) => {
            let samples = values.len();
            let header =
                format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({samples},), }}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((header.len() as u16).to_le_bytes());
            bytes.extend(header.bytes());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            std::fs::write(&file, bytes).unwrap();
        }
    }
    let mut config = Preset::Signals.config();
    config.data.set_folder(file).unwrap();
    if let DataConfig::Recordings(settings) = &mut config.data {
        settings.rate = Some(30_000.0);
    }
    config.training.steps = 20;
    change(&mut config);
    let data = OwnRecording::open(&config).unwrap();
    data.fit(&mut config, 3, Extent::Samples(60)).unwrap();
    let opened = data.batches(&config).unwrap();
    let run = dir.join("run");
    train_opened(config, Some(opened), || RunDir::create(&run), Interrupter::new()).unwrap();
    let device = Backend::default().device().unwrap();
    let recording = match values {
        None => made.recording(),
        Some(values) => {
            let shape = [1, 1, values.len()];
            Recording::of_values(values, shape, Some(30_000.0)).unwrap()
        }
    };
    let events = EventFinder::of_run(&run, &device).unwrap().find(&recording, &mut on()).unwrap();
    let score = EventScore::of(&events, made.events(), made.waveforms(), 2);
    (events, score)
}

fn recording(channels: usize) -> SyntheticRecording {
    let config = SyntheticRecordingConfig {
        waveforms: 3,
        channels,
        samples: 150_000,
        seed: 1,
        ..Default::default()
    };
    SyntheticRecording::new(config).unwrap()
}

#[test]
fn no_atom_and_no_event_comes_from_a_gap() {
    let made = recording(1);
    let mut values = vec![0.0; 150_000];
    made.recording().read(0, 0, &mut values).unwrap();
    // Gaps of many lengths, most of which cut an event; together a fifth of the recording.
    let mut gaps = Vec::new();
    for k in 0..30 {
        let (first, length) = (2000 + k * 4900, 1 + k * 66);
        values[first..first + length].fill(f32::NAN);
        gaps.push(first..first + length);
    }
    let dir = tempfile::tempdir().unwrap();
    let nan = |config: &mut RunConfig| config.data.set_missing(Missing::Nan).unwrap();
    let (events, score) = found(&made, Some(values.clone()), dir.path(), nan);
    assert!(score.least_cosine(3) >= 0.98, "{score:?}");
    assert!(score.precision() >= 0.93, "{score:?}");
    for event in &events.list {
        let own = event.start..event.start + 60;
        assert!(gaps.iter().all(|gap| own.end <= gap.start || gap.end <= own.start), "{event:?}");
    }
    // Most events that are away from gaps are found.
    let clear = |start: usize| gaps.iter().all(|gap| start + 60 <= gap.start || gap.end <= start);
    let wanted = made.events().iter().filter(|event| clear(event.start)).count();
    assert!(score.hits as f64 >= 0.93 * wanted as f64, "{} of {wanted}", score.hits);
    assert!(wanted < made.events().len() * 9 / 10);
    // Without the setting, NaN is an error.
    let mut config = Preset::Signals.config();
    config.data.set_folder(dir.path().join("recording.npy")).unwrap();
    let data = OwnRecording::open(&config).unwrap();
    let error = data.fit(&mut config, 3, Extent::Samples(60)).unwrap_err().to_string();
    assert!(error.contains("NaN"), "{error}");
}

#[test]
fn atoms_of_rank_one_have_the_weights_of_the_channels() {
    let made = recording(4);
    let dir = tempfile::tempdir().unwrap();
    let (events, score) = found(&made, None, dir.path(), |config| config.model.rank_one = true);
    assert!(score.least_cosine(3) >= 0.98, "{score:?}");
    assert!(score.waveforms.iter().all(|pair| pair.channels >= 0.98), "{score:?}");
    for j in 0..3 {
        let rows: Vec<&[f32]> = events.filters.atom(j).chunks_exact(60).collect();
        let alike = rows.iter().skip(1).map(|row| cosine(rows[0], row).abs());
        assert!(alike.fold(1.0, f32::min) > 0.999, "rows of an atom are multiples of each other");
    }
}

#[test]
fn smooth_atoms_have_smaller_second_differences() {
    let made = recording(1);
    let rough = |smooth: f64| {
        let dir = tempfile::tempdir().unwrap();
        let (events, score) = found(&made, None, dir.path(), |c| c.training.smooth = smooth);
        assert!(score.least_cosine(3) >= 0.97, "{score:?}");
        let of = |w: &[f32]| (w[0] - 2.0 * w[1] + w[2]).powi(2);
        (0..3).map(|j| events.filters.atom(j).windows(3).map(of).sum::<f32>()).sum::<f32>()
    };
    let (plain, smooth) = (rough(0.0), rough(30.0));
    assert!(smooth < 0.95 * plain, "{smooth} for {plain}");
}
