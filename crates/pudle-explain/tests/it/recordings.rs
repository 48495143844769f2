//! Recordings: the identity is the gradient of the network, atoms come from their events, and removing events changes them as
//! predicted.

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    AnyPudle, ConvConfig, ConvDictionary1d, GradientEstimator, Noise, Proximal, Pudle, PudleConfig,
};
use pudle_data::{
    Extent, Normalization, RecordingSettings, SyntheticRecording, SyntheticRecordingConfig,
};
use pudle_explain::{
    ContinuedTraining, ExplainOptions, RemovalOptions, ReportOptions, Ridge, Split, SubjectOptions,
    explain, open_subject, removal_test, write_removal_test, write_report,
};
use pudle_train::{
    Checkpoint, DataConfig, EventScore, Interrupter, OwnRecording, Preset, RunConfig, RunDir,
    train_opened,
};

const OPTIONS: SubjectOptions = SubjectOptions { sigma: None, photographs: 1, seed: 0 };

fn made(config: SyntheticRecordingConfig, path: &Path) -> SyntheticRecording {
    let made = SyntheticRecording::new(config).unwrap();
    made.write_npy(path, &mut |_, _| ControlFlow::Continue(())).unwrap();
    made
}

#[test]
fn moments_of_a_recording_give_the_gradient_of_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recording.npy");
    let config = SyntheticRecordingConfig {
        waveforms: 2,
        length: 20,
        channels: 2,
        samples: 3000,
        events_per_second: 100.0,
        ..Default::default()
    };
    let made = made(config, &path);
    let filters = ConvConfig { atoms: 3, channels: 2, size: 20, stride: 1 };
    let config = PudleConfig::conv1d(filters)
        .with_layers(6)
        .with_prox(Proximal::Relu)
        .with_lambda(1.0)
        .with_gradient(GradientEstimator::DEC);
    let model = Pudle::<3, ConvDictionary1d>::new(&config, 5, &Device::flex()).unwrap();
    let settings = RecordingSettings {
        offset: vec![0.1, -0.2],
        scale: vec![0.5, 2.0],
        ..RecordingSettings::new(path)
    };
    let data = DataConfig::Recordings(settings);
    let run = RunConfig { model: config.clone(), data, ..Preset::Signals.config() };
    let checkpoint = Checkpoint {
        config,
        model: AnyPudle::Conv1d(model.clone()),
        sigma: None,
        normalization: Normalization::none(),
    };
    let device = Device::flex();
    let subject = open_subject(checkpoint, &run, OPTIONS, &device).unwrap();
    let encoded = subject.encode(Split::Training, &mut |_| ()).unwrap();
    let dictionary: Vec<f64> = subject.dictionary().into_iter().map(f64::from).collect();
    let found = encoded.moments.gradient(&dictionary);

    let mut x = vec![0.0; 2 * 3000];
    made.recording().read(0, 0, &mut x).unwrap();
    x[..3000].iter_mut().for_each(|v| *v = (*v - 0.1) / 0.5);
    x[3000..].iter_mut().for_each(|v| *v = (*v + 0.2) / 2.0);
    let data = TensorData::new(x, [1, 2, 3000]);
    let x = Tensor::<3>::from_data(data, &device.clone().autodiff());
    let recording = burn::module::Module::train(model);
    let grads = recording.objective(x.clone(), x, &Noise::Unknown).loss.backward();
    let atoms = pudle_core::Dictionary::atoms(recording.dictionary());
    let expected: Vec<f64> = atoms.grad(&grads).unwrap().into_data().iter::<f64>().collect();
    let size = expected.iter().map(|g| g * g).sum::<f64>().sqrt();
    let off = found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(size > 1.0 && off < 1e-4 * size, "{off} of {size}");
    // Only places with a code are data.
    assert!(encoded.codes.rows().all(|row| !row.values.is_empty()));
    assert!(encoded.codes.len() > 10 && encoded.codes.len() < 3000);
}

/// A run over a made recording.
fn trained(dir: &Path, channels: usize) -> (RunConfig, SyntheticRecording) {
    let path = dir.join("recording.npy");
    let config = SyntheticRecordingConfig {
        waveforms: 2,
        channels,
        samples: 120_000,
        events_per_second: 15.0,
        ..Default::default()
    };
    let made = made(config, &path);
    let mut config = Preset::Signals.config();
    config.training.steps = 100;
    config.data = DataConfig::Recordings(RecordingSettings {
        rate: Some(30_000.0),
        validation: 0.1,
        ..RecordingSettings::new(path)
    });
    let data = OwnRecording::open(&config).unwrap();
    data.fit(&mut config, 2, Extent::Samples(60)).unwrap();
    let opened = data.batches(&config).unwrap();
    let place = || RunDir::create(&dir.join("run"));
    train_opened(config.clone(), Some(opened), place, Interrupter::new()).unwrap();
    (config, made)
}

#[test]
fn atoms_of_a_recording_come_from_their_events() {
    let dir = tempfile::tempdir().unwrap();
    let (config, made) = trained(dir.path(), 2);
    let device = Device::flex();
    let checkpoint = Checkpoint::read(&dir.path().join("run"), &device).unwrap();
    let subject = open_subject(checkpoint, &config, OPTIONS, &device).unwrap();
    let mut inputs = vec![
        subject.read_input(&dir.path().join("recording.npy"), pudle_explain::InputNoise::Estimate),
    ];
    inputs.extend(subject.held_out_inputs(3).into_iter().map(Ok));
    let inputs = inputs.into_iter().collect::<Result<_, _>>().unwrap();
    let options =
        ExplainOptions { ridge: Ridge::Sphere, top: 6, inputs, pixels: Vec::new(), seed: 0 };
    let found = explain(subject.as_ref(), &options, &mut |_| ()).unwrap();
    assert!(
        found.identity.residual_of_outputs() < 0.1,
        "{:?}",
        found.identity.residual_of_outputs()
    );
    assert!(found.smallest_cosine(2) > 0.98, "{}", found.smallest_cosine(2));

    // Each contributor to an atom is a true event of the waveform that is most like it.
    let events = &found.events.as_ref().unwrap().events;
    let score = EventScore::of(events, made.events(), made.waveforms(), 2);
    assert!(score.recall() > 0.95, "{score:?}");
    for pair in &score.waveforms {
        let most = &found.contributors[pair.atom].most;
        assert_eq!(most.len(), 6);
        for c in most {
            let place = found.encoded.sources[c.datum].column as isize - pair.lag;
            let near = |event: &&pudle_data::TrueEvent| {
                event.waveform == pair.waveform && (event.start as isize - place).abs() <= 3
            };
            assert!(made.events().iter().any(|event| near(&event)), "{c:?} of {pair:?}");
            // Parts of one event are one contributor.
            let source = found.encoded.sources[c.datum];
            let same = most
                .iter()
                .filter(|other| subject.same_event(source, found.encoded.sources[other.datum]));
            assert_eq!(same.count(), 1);
        }
    }
    // The input has three windows, and each held-out event one.
    assert_eq!(found.outputs.len(), 3 + 3);
    assert!(found.outputs.iter().all(|output| !output.code.is_empty()));

    let report = dir.path().join("report");
    let options = ReportOptions { dir: &report, replace: false, run: "signals", seed: 0 };
    write_report(options, subject.as_ref(), &found).unwrap();
    let table = std::fs::read_to_string(report.join("events.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + events.list.len());
    for figure in ["filters.png", "stretches-0.svg", "recording-0.png", "events.svg"] {
        assert!(report.join("figures").join(figure).is_file(), "{figure}");
    }
    let page = std::fs::read_to_string(report.join("report.html")).unwrap();
    let data = crate::report::page_data(&page);
    let shown = data["events"]["list"].as_array().unwrap();
    assert_eq!(shown.len(), events.list.len());
    if let Some(browser) = crate::report::browser() {
        in_a_browser(&browser, &report.join("report.html"), dir.path(), &events.counts());
    }
}

/// One click on an atom shows its events, and one on an event its stretch.
fn in_a_browser(browser: &Path, page: &Path, dir: &Path, counts: &[usize]) {
    let mut page = crate::report::Page::open(browser, page, &dir.join("profile"));
    for (atom, count) in counts.iter().enumerate() {
        page.evaluate(&format!("document.querySelector('[data-atom=\"{atom}\"]').click()"));
        let dots = "document.querySelectorAll('#detail .dot').length";
        assert_eq!(page.evaluate(dots), *count);
        let rows = "document.querySelectorAll('#detail .events tbody tr').length";
        assert_eq!(page.evaluate(rows), *count);
        let first = "(document.querySelector('#detail .events tbody button').click(), \
                     document.querySelector('#detail .stretch p').textContent)";
        let text = page.evaluate(first);
        assert!(text.as_str().unwrap().starts_with(&format!("Atom {atom} at ")), "{text}");
        assert_eq!(page.evaluate("document.querySelectorAll('.dot.chosen').length"), 1);
        let lines = "document.querySelectorAll('#detail .stretch polyline').length";
        assert_eq!(page.evaluate(lines), 2);
    }
}

#[test]
fn removed_events_change_atoms_as_predicted() {
    let dir = tempfile::tempdir().unwrap();
    let (config, _) = trained(dir.path(), 1);
    let device = Device::flex();
    let run = dir.path().join("run");
    let checkpoint = Checkpoint::read(&run, &device).unwrap();
    let subject = open_subject(checkpoint, &config, OPTIONS, &device).unwrap();
    let batch = config.training.batch;
    let training = ContinuedTraining { config, dir: run, steps: 40, batch };
    let options = RemovalOptions { checked: 4, removed: 5, ridge: Ridge::Sphere, seed: 0 };
    let mut calls = 0;
    let test = removal_test(subject.as_ref(), &training, &options, &mut |_, all| {
        calls += 1;
        assert_eq!(all, 17);
    })
    .unwrap();
    assert_eq!(calls, 17);
    // Two atoms, each with its largest events and those after them.
    let numbers: Vec<usize> = test.atoms.removals.iter().map(|removal| removal.number).collect();
    assert!(numbers[..2] == numbers[2..] && numbers[0] != numbers[1], "{numbers:?}");
    assert!(test.atoms.cosine > 0.5, "{test:?}");
    write_removal_test(&dir.path().join("check"), false, &test).unwrap();
    assert!(dir.path().join("check/removals.csv").is_file());
}
