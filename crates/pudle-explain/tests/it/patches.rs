//! The convolutional identity: its data are those under which the dense equation is the gradient of the network.

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    AnyPudle, ConvConfig, ConvDictionary2d, GradientEstimator, Noise, Pudle, PudleConfig,
    WeightTying,
};
use pudle_data::{
    ColorMode, Image, Normalization, PhotographSettings, Sigma, add_gaussian, add_validation_noise,
};
use pudle_explain::{
    ExplainOptions, Input, ReportOptions, Ridge, Source, Split, SubjectOptions, explain,
    open_subject, write_report,
};
use pudle_train::{Checkpoint, DataConfig, Preset, RunConfig};

const SIGMA: f32 = 20.0;

fn picture(seed: u32, height: usize, width: usize, channels: usize) -> Image {
    Image::from_fn(channels, height, width, |c, y, x| {
        let wave = ((x as f32 + c as f32) * 0.4 + seed as f32).sin() * (y as f32 * 0.3).cos();
        0.5 + 0.3 * wave + if (x / 7 + y / 5 + c) % 2 == 0 { 0.15 } else { -0.1 }
    })
}

/// A model with random filters, and a folder of three pictures of different sizes.
fn subject(channels: usize, tying: WeightTying, dir: &std::path::Path) -> (Checkpoint, RunConfig) {
    for (k, [height, width]) in [[21, 29], [17, 40], [33, 18]].into_iter().enumerate() {
        let name = dir.join(format!("{k}.png"));
        picture(k as u32, height, width, channels).write(&name).unwrap();
    }
    let filters = ConvConfig { atoms: 12, channels, size: 5, stride: 3 };
    let config = PudleConfig::conv2d(filters)
        .with_layers(4)
        .with_step(0.1)
        .with_lambda(0.3)
        .with_tying(tying)
        .with_offset(0.5)
        .with_gradient(GradientEstimator::DEC);
    let model = Pudle::<4, ConvDictionary2d>::new(&config, 5, &Device::flex()).unwrap();
    let data = DataConfig::Photographs(PhotographSettings::new(dir, 20, Sigma::At(SIGMA)));
    let run = RunConfig { model: config.clone(), data, ..Preset::Denoise.config() };
    let model = AnyPudle::Conv2d(model);
    (
        Checkpoint {
            config,
            model,
            sigma: Some(Sigma::At(SIGMA)),
            normalization: Normalization::none(),
        },
        run,
    )
}

#[test]
fn moments_give_the_gradient_of_the_network() {
    for channels in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let (checkpoint, run) = subject(channels, WeightTying::Tied, dir.path());
        let AnyPudle::Conv2d(model) = checkpoint.model.clone() else { unreachable!() };
        let device = Device::flex();
        let options = SubjectOptions { sigma: None, photographs: 9, seed: 4 };
        let subject = open_subject(checkpoint, &run, options, &device).unwrap();
        let encoded = subject.encode(Split::Training, &mut |_| ()).unwrap();
        let dictionary: Vec<f64> = subject.dictionary().into_iter().map(f64::from).collect();
        let found = encoded.moments.gradient(&dictionary);

        // Autodiff through the decoder, picture by picture, on what the positions cover.
        let mut expected = vec![0.0f64; found.len()];
        let (mut data, recording) = (0, burn::module::Module::train(model));
        for k in 0..3 {
            let color = if channels == 3 { ColorMode::Rgb } else { ColorMode::Gray };
            let clean = Image::read(&dir.path().join(format!("{k}.png")), color).unwrap();
            let noisy = add_validation_noise(&clean, SIGMA, 4, k as u64);
            let cover = |length: usize| 5 + (length - 5).div_ceil(3) * 3;
            let (height, width) = (cover(clean.height), cover(clean.width));
            let tensor = |image: &Image| {
                let values = image.pad_reflect_to(height, width).data;
                let shape = [1, channels, height, width];
                Tensor::<4>::from_data(TensorData::new(values, shape), &device.clone().autodiff())
            };
            let objective =
                recording.objective(tensor(&noisy), tensor(&clean), &Noise::Same(f64::from(SIGMA)));
            let grads = objective.loss.backward();
            let atoms = pudle_core::Dictionary::atoms(recording.dictionary());
            let gradient = atoms.grad(&grads).unwrap().into_data();
            expected.iter_mut().zip(gradient.iter::<f64>()).for_each(|(sum, g)| *sum += g);
            let first = encoded.sources[data];
            assert_eq!(first, Source { item: k as u32, row: 0, column: 0 });
            // The second datum lies a stride to the right.
            assert_eq!(encoded.sources[data + 1], Source { column: 3, ..first });
            data += ((height - 5) / 3 + 1) * ((width - 5) / 3 + 1);
        }
        assert_eq!(encoded.codes.len(), data);
        let size = expected.iter().map(|g| g * g).sum::<f64>().sqrt();
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        assert!(size > 1.0 && off < 1e-4 * size, "{channels} channels: {off} of {size}");
    }
}

/// Pictures smaller than a tile of the page, colour, gains: a report all the same.
#[test]
fn small_pictures_in_colour_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let (checkpoint, run) = subject(3, WeightTying::Gain, &pictures);
    picture(9, 6, 7, 3).write(&pictures.join("0-small.png")).unwrap();
    let options = SubjectOptions { sigma: None, photographs: 9, seed: 0 };
    let subject = open_subject(checkpoint, &run, options, &Device::flex()).unwrap();
    let input = |seed| Input {
        name: "same name".to_owned(),
        number: None,
        label: None,
        values: add_gaussian(&picture(seed, 30, 26, 3), SIGMA, 0),
        sigma: Some(SIGMA),
    };
    let options = ExplainOptions {
        ridge: Ridge::Sphere,
        top: 40,
        inputs: vec![input(1), input(2)],
        pixels: vec![[3, 4], [29, 25]],
        seed: 0,
    };
    let found = explain(subject.as_ref(), &options, &mut |_| ()).unwrap();
    assert_eq!(found.outputs.len(), 4);
    for output in &found.outputs {
        // Shares are exact parts of the output: those of all patches add up to what the identity gives of it.
        let shares: f64 = output.contributors.most.iter().map(|c| c.weight).sum();
        assert!(shares > 0.0, "{shares}");
    }
    let report = dir.path().join("report");
    let options = ReportOptions { dir: &report, replace: false, run: "small", seed: 0 };
    write_report(options, subject.as_ref(), &found).unwrap();
    for figure in ["patches-0.png", "patches-1.svg", "maps-1.png", "photograph-1.png"] {
        assert!(report.join("figures").join(figure).is_file(), "{figure}");
    }
}

#[test]
fn models_with_other_weight_tyings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (checkpoint, run) = subject(1, WeightTying::Decoder, dir.path());
    let options = SubjectOptions { sigma: None, photographs: 9, seed: 0 };
    let error = open_subject(checkpoint, &run, options, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("decoder"), "{error}");
}
