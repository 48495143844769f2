//! The convolutional identity: its data are those under which the dense equation is the gradient of the network.

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{Banks, Conv2dConfig, ConvDictionary2d, GradientEstimator, Pudle, PudleConfig};
use pudle_data::{Image, PhotographSettings, add_validation_noise};
use pudle_explain::{
    PatchOptions, PhotoOptions, Ridge, Subject, explain_photos, write_photo_report,
};
use pudle_train::{AnyPudle, Checkpoint, DataConfig, Preset, RunConfig, Sigma};

const SIGMA: f32 = 20.0;

fn picture(seed: u32, height: usize, width: usize, channels: usize) -> Image {
    Image::from_fn(channels, height, width, |c, y, x| {
        let wave = ((x as f32 + c as f32) * 0.4 + seed as f32).sin() * (y as f32 * 0.3).cos();
        0.5 + 0.3 * wave + if (x / 7 + y / 5 + c) % 2 == 0 { 0.15 } else { -0.1 }
    })
}

/// A model with random filters, and a folder of three pictures of different sizes.
fn subject(channels: usize, banks: Banks, dir: &std::path::Path) -> (Checkpoint, RunConfig) {
    for (k, [height, width]) in [[21, 29], [17, 40], [33, 18]].into_iter().enumerate() {
        let name = dir.join(format!("{k}.png"));
        picture(k as u32, height, width, channels).write(&name).unwrap();
    }
    let filters = Conv2dConfig { atoms: 12, channels, size: 5, stride: 3 };
    let config = PudleConfig::conv2d(filters)
        .with_layers(4)
        .with_step(0.1)
        .with_lambda(0.3)
        .with_banks(banks)
        .with_offset(0.5)
        .with_gradient(GradientEstimator::DEC);
    let model = Pudle::<4, ConvDictionary2d>::new(&config, 5, &Device::flex()).unwrap();
    let data = DataConfig::Photographs(PhotographSettings::new(dir, 20, Sigma::At(SIGMA)));
    let run = RunConfig { model: config.clone(), data, ..Preset::Denoise.config() };
    let model = AnyPudle::Conv2d(model);
    (Checkpoint { config, model, sigma: Some(Sigma::At(SIGMA)) }, run)
}

#[test]
fn moments_give_the_gradient_of_the_network() {
    for channels in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let (checkpoint, run) = subject(channels, Banks::Tied, dir.path());
        let AnyPudle::Conv2d(model) = checkpoint.model.clone() else { unreachable!() };
        let device = Device::flex();
        let options = PatchOptions { sigma: None, most: 9, seed: 4 };
        let Subject::Patches(patches) = Subject::new(checkpoint, &run, options, &device).unwrap()
        else {
            panic!("a model over photographs")
        };
        let (encoded, places) = patches.encode_all(|_| ()).unwrap();
        let dictionary: Vec<f64> = patches.dictionary().into_iter().map(f64::from).collect();
        let found = encoded.moments.gradient(&dictionary);

        // Autodiff through the decoder, picture by picture, on what the positions cover.
        let mut expected = vec![0.0f64; found.len()];
        let (mut data, recording) = (0, burn::module::Module::train(model));
        for k in 0..3 {
            let clean = patches.photograph(k).unwrap();
            let noisy = add_validation_noise(&clean, SIGMA, 4, k as u64);
            let cover = |length: usize| 5 + (length - 5).div_ceil(3) * 3;
            let (height, width) = (cover(clean.height), cover(clean.width));
            let tensor = |image: &Image| {
                let values = image.pad_reflect_to(height, width).data;
                let shape = [1, channels, height, width];
                Tensor::<4>::from_data(TensorData::new(values, shape), &device.clone().autodiff())
            };
            let objective = recording.objective(tensor(&noisy), tensor(&clean));
            let grads = objective.loss.backward();
            let atoms = pudle_core::Dictionary::atoms(recording.dictionary());
            let gradient = atoms.grad(&grads).unwrap().into_data();
            expected.iter_mut().zip(gradient.iter::<f64>()).for_each(|(sum, g)| *sum += g);
            let first = places.place(data);
            assert_eq!((first.image, first.top, first.left), (k, 0, 0));
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
    let (checkpoint, run) = subject(3, Banks::Gain, &pictures);
    picture(9, 6, 7, 3).write(&pictures.join("0-small.png")).unwrap();
    let options = PatchOptions { sigma: None, most: 9, seed: 0 };
    let Subject::Patches(patches) =
        Subject::new(checkpoint, &run, options, &Device::flex()).unwrap()
    else {
        panic!("a model over photographs")
    };
    let input =
        |seed| ("same name".to_owned(), patches.with_noise(&picture(seed, 30, 26, 3)), SIGMA);
    let options = PhotoOptions {
        ridge: Ridge::Sphere,
        count: 40,
        inputs: vec![input(1), input(2)],
        pixels: vec![[3, 4], [29, 25]],
    };
    let found = explain_photos(&patches, &options, |_| ()).unwrap();
    assert_eq!(found.outputs.len(), 4);
    for output in &found.outputs {
        // Shares are exact parts of the output: those of all patches add up to what the identity gives of it.
        let shares: f64 = output.contributors.most.iter().map(|c| c.weight).sum();
        assert!(shares > 0.0, "{shares}");
    }
    let report = dir.path().join("report");
    write_photo_report(&report, false, "small", &patches, &found, 0).unwrap();
    for figure in ["patches-0.png", "patches-1.svg", "maps-1.png", "photograph-1.png"] {
        assert!(report.join("figures").join(figure).is_file(), "{figure}");
    }
}

#[test]
fn models_with_banks_of_their_own_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (checkpoint, run) = subject(1, Banks::Decoder, dir.path());
    let options = PatchOptions { sigma: None, most: 9, seed: 0 };
    let error = Subject::new(checkpoint, &run, options, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("decoder"), "{error}");
}
