//! Data with missing entries, and dictionaries without numbers below zero, in f64.

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    Algorithm, Configured, ConvDictionary2d, DenseDictionary, Dictionary, DictionaryConfig,
    GradientEstimator, Noise, Proximal, Pudle, PudleConfig, WeightTying,
};

use crate::common::{conv2d, dense, model, normal, relative_error, scalar, tensor, values};

/// A mask with a third of the entries missing, and data that have nonsense there.
fn data<const D: usize>(extent: [usize; D], device: &Device) -> (Tensor<D>, Tensor<D>) {
    let mask: Vec<f64> = values(tensor::<1>(normal(&[extent.iter().product()], 5), device))
        .iter()
        .map(|value| if *value > -0.4 { 1.0 } else { 0.0 })
        .collect();
    assert!(mask.contains(&0.0));
    let mask: Tensor<D> = tensor(TensorData::new(mask, extent), device);
    let x: Tensor<D> = tensor(normal(&extent, 22), device);
    (x.clone() + (mask.clone() * -1.0 + 1.0) * 50.0, mask)
}

fn loss<const D: usize, A: Configured<D>>(
    config: &PudleConfig,
    atoms: &[f64],
    (x, mask): &(Tensor<D>, Tensor<D>),
) -> f64 {
    let atoms = TensorData::new(atoms.to_vec(), config.dictionary.shape());
    let model = Pudle::<D, A>::from_data(config, atoms, &Device::flex()).unwrap();
    let objective = model.masked_objective(x.clone(), x.clone(), mask.clone(), &Noise::Unknown);
    scalar(objective.loss)
}

fn gradient<const D: usize, A: Configured<D>>(
    config: &PudleConfig,
    atoms: &[f64],
    (x, mask): &(Tensor<D>, Tensor<D>),
) -> Vec<f64> {
    let atoms = TensorData::new(atoms.to_vec(), config.dictionary.shape());
    let model = Pudle::<D, A>::from_data(config, atoms, &Device::flex().autodiff()).unwrap();
    let [x, mask] = [x, mask].map(|tensor| tensor.clone().autodiff());
    let objective = model.masked_objective(x.clone(), x, mask, &Noise::Unknown);
    let grads = objective.loss.backward();
    values(model.dictionary().atoms().grad(&grads).unwrap())
}

fn finite_differences<const D: usize, A: Configured<D>>(config: &PudleConfig, extent: [usize; D]) {
    let data = data(extent, &Device::flex());
    let atoms = values(model::<D, A>(config, 21, &Device::flex()).dictionary().atoms());
    let exact = gradient::<D, A>(config, &atoms, &data);
    let scale = exact.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let mut kinks = 0;
    for (i, exact) in exact.iter().enumerate() {
        let difference = |h: f64| {
            let moved = |h: f64| {
                let mut atoms = atoms.clone();
                atoms[i] += h;
                loss::<D, A>(config, &atoms, &data)
            };
            (moved(h) - moved(-h)) / (2.0 * h)
        };
        let (fine, coarse) = (difference(1e-5), difference(3e-5));
        if (fine - coarse).abs() > 1e-5 * scale {
            kinks += 1;
            continue;
        }
        assert!((fine - exact).abs() <= 1e-6 * scale, "{config:?}: {i}: {fine} for {exact}");
    }
    assert!(kinks * 10 <= exact.len(), "{kinks} kinks");
}

fn settings(dictionary: DictionaryConfig) -> Vec<PudleConfig> {
    let config = PudleConfig::new(dictionary).with_step(0.15).with_lambda(0.2).with_layers(4);
    let top = "top-k:2".parse::<Proximal>().unwrap();
    vec![
        config.clone().with_gradient(GradientEstimator::AE_LS),
        config.clone().with_gradient(GradientEstimator::AE_LASSO).with_algorithm(Algorithm::Fista),
        config
            .clone()
            .with_gradient(GradientEstimator::AE_LS)
            .with_prox(Proximal::Relu)
            .with_offset(0.3),
        config.with_gradient(GradientEstimator::AE_LS).with_prox(top),
    ]
}

#[test]
fn gradients_of_masked_data_are_finite_differences() {
    for config in settings(dense(5, 6)) {
        finite_differences::<2, DenseDictionary>(&config, [4, 5]);
    }
    for config in settings(conv2d(4, 1, 3, 2)) {
        finite_differences::<4, ConvDictionary2d>(&config, [2, 1, 7, 7]);
    }
}

#[test]
fn the_other_responses_agree_with_closed_forms() {
    let (extent, device) = ([3, 5], Device::flex());
    let data = data(extent, &device);
    let config = PudleConfig::new(dense(5, 6)).with_step(0.15).with_lambda(0.2).with_layers(6);
    let atoms = values(model::<2, DenseDictionary>(&config, 21, &device).dictionary().atoms());
    // All layers are the last six.
    let all = gradient::<2, DenseDictionary>(&config, &atoms, &data);
    let last = config.clone().with_gradient(GradientEstimator::truncated(6));
    assert_eq!(gradient::<2, DenseDictionary>(&last, &atoms, &data), all);
    // The direct part is (M ⊙ (D z − x))ᵀ z.
    let dropped = config.clone().with_gradient(GradientEstimator::DEC);
    let found = gradient::<2, DenseDictionary>(&dropped, &atoms, &data);
    let plain = model::<2, DenseDictionary>(&config, 21, &device);
    let code = plain.encode_masked(data.0.clone(), &data.1, &Noise::Unknown);
    let residual = (plain.decode(code.clone(), extent) - data.0.clone()) * data.1.clone();
    let expected = values(residual.transpose().matmul(code) / 3.0);
    assert!(relative_error(&found, &expected) < 1e-12);
    // The fixed point is the limit of many layers.
    let many = config.clone().with_layers(4000);
    let limit = gradient::<2, DenseDictionary>(&many, &atoms, &data);
    let implicit = many.with_gradient(GradientEstimator::IMPLICIT);
    let found = gradient::<2, DenseDictionary>(&implicit, &atoms, &data);
    assert!(relative_error(&found, &limit) < 1e-6);
}

#[test]
fn missing_rows_are_as_if_they_were_not_there() {
    let device = Device::flex();
    let config = PudleConfig::new(dense(5, 6)).with_step(0.15).with_lambda(0.2).with_layers(9);
    let whole = model::<2, DenseDictionary>(&config, 21, &device);
    // The last two numbers of every datum are missing.
    let x: Tensor<2> = tensor(normal(&[4, 5], 1), &device);
    let row = [1.0, 1.0, 1.0, 0.0, 0.0];
    let mask: Tensor<2> = tensor(TensorData::new(row.repeat(4), [4, 5]), &device);
    let found = whole.encode_masked(x.clone(), &mask, &Noise::Unknown);
    let part = PudleConfig { dictionary: dense(3, 6), ..config };
    let atoms = whole.dictionary().atoms().narrow(0, 0, 3).into_data();
    let part = Pudle::<2, DenseDictionary>::from_data(&part, atoms, &device).unwrap();
    let expected = part.encode(x.clone().narrow(1, 0, 3), &Noise::Unknown);
    assert!(relative_error(&values(found), &values(expected)) < 1e-12);
    // Without a missing entry, masks change nothing but rounding.
    let ones = mask.ones_like();
    let masked = whole.masked_objective(x.clone(), x.clone(), ones, &Noise::Unknown);
    let plain = whole.objective(x.clone(), x, &Noise::Unknown);
    assert!((scalar(masked.loss) - scalar(plain.loss)).abs() < 1e-12);
}

#[test]
fn projection_onto_the_nonnegative_sphere_finds_the_nearest_point() {
    let device = Device::flex();
    let config =
        PudleConfig::new(dense(3, 4)).with_nonnegative(true).with_tying(WeightTying::Decoder);
    // Columns: both signs, none above zero, zero, and one that is there already.
    let atoms = [[3.0, -2.0, 0.0, 0.6], [-1.0, -0.5, 0.0, 0.8], [4.0, -1.0, 0.0, 0.0]];
    let atoms = TensorData::new(atoms.concat(), [3, 4]);
    let model = Pudle::<2, DenseDictionary>::from_data(&config, atoms, &device).unwrap();
    let projected = model.project();
    let found = values(projected.dictionary().atoms());
    let expected = [[0.6, 0.0, 0.0, 0.6], [0.0, 1.0, 0.0, 0.8], [0.8, 0.0, 0.0, 0.0]].concat();
    assert!(relative_error(&found, &expected) < 1e-12, "{found:?}");
    assert!(values(projected.decoder().atoms()).iter().all(|value| *value >= 0.0));
    // No other point of the set is nearer.
    let random: Vec<f64> = values(tensor::<1>(normal(&[300], 3), &device));
    let (v, nearest) = ([-2.0, -0.5, -1.0], [0.0, 1.0, 0.0]);
    let along = |d: &[f64]| v.iter().zip(d).map(|(a, b)| a * b).sum::<f64>();
    for point in random.chunks(3) {
        let norm = point.iter().map(|p| p * p).sum::<f64>().sqrt();
        let point: Vec<f64> = point.iter().map(|p| p.abs() / norm).collect();
        assert!(along(&point) <= along(&nearest) + 1e-12);
    }
}

#[test]
fn first_atoms_come_from_another_model() {
    let device = Device::flex();
    let config = PudleConfig::new(dense(3, 4)).with_tying(WeightTying::Untied);
    let [one, two] = [1, 2].map(|seed| model::<2, DenseDictionary>(&config, seed, &device));
    let mixed = two.clone().with_first_atoms_of(&one, 3);
    type Pick = fn(&Pudle<2, DenseDictionary>) -> &DenseDictionary;
    let banks: [Pick; 3] = [Pudle::dictionary, Pudle::analysis, Pudle::decoder];
    for bank in banks {
        let part = |model, from, count| values(bank(model).atoms().narrow(1, from, count));
        assert_eq!(part(&mixed, 0, 3), part(&one, 0, 3));
        assert_eq!(part(&mixed, 3, 1), part(&two, 3, 1));
    }
    let all = two.with_first_atoms_of(&one, 4);
    assert_eq!(values(all.dictionary().atoms()), values(one.dictionary().atoms()));
}
