//! Update rules: their formulas, and the same steps in a run, by hand and after an interruption.

use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    ConvConfig, ConvDictionary2d, DenseConfig, DenseDictionary, Dictionary, GradientEstimator,
    Noise, Proximal, Pudle, PudleConfig, Step, ThresholdConfig, WeightTying,
};
use pudle_data::{
    Amplitude, Batch, SignRule, Source, SparseCoding, SparseCodingConfig, SparseCodingSettings,
};
use pudle_train::{
    DataConfig, Initialization, Interrupter, Outcome, RunConfig, Trainer, TrainingConfig, Update,
    UpdateRule, resume, train,
};

const DIM: usize = 8;
const ATOMS: usize = 12;
const BATCH: usize = 7;

fn draws() -> SparseCoding {
    let config = SparseCodingConfig {
        dim: DIM,
        atoms: ATOMS,
        sparsity: 2,
        count: 30,
        batch: BATCH,
        amplitude: Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerEntry },
        noise_sd: 0.0,
        seed: 3,
    };
    SparseCoding::new(config).unwrap()
}

fn dense() -> PudleConfig {
    PudleConfig::dense(DenseConfig { dim: DIM, atoms: ATOMS }).with_step(0.2).with_lambda(0.1)
}

/// The model that a rule trains.
fn model(rule: UpdateRule) -> PudleConfig {
    match rule {
        UpdateRule::Adam => dense(),
        UpdateRule::Noodl => dense().with_prox(Proximal::Hard),
        UpdateRule::Online => dense().with_gradient(GradientEstimator::DEC),
    }
}

fn trainer(update: Update) -> Trainer<2, DenseDictionary> {
    let config = model(update.rule);
    let start = TensorData::new(draws().perturbed(0.1, 3), [DIM, ATOMS]);
    Trainer::new(Pudle::from_data(&config, start, &Device::flex()).unwrap(), update)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn sign(z: f64) -> f64 {
    if z == 0.0 { 0.0 } else { z.signum() }
}

#[test]
fn a_noodl_step_on_vectors_is_the_formula() {
    let mut trainer = trainer(Update::noodl(0.4));
    let batch = draws().batch(0).unwrap();
    let before = trainer.model();
    let x = Tensor::from_data(TensorData::new(batch.input.clone(), [BATCH, DIM]), &Device::flex());
    let (d, z) = (values(before.dictionary().atoms()), values(before.encode(x, &Noise::Unknown)));
    let residual = |b: usize, i: usize| {
        let fitted: f64 = (0..ATOMS).map(|k| d[i * ATOMS + k] * z[b * ATOMS + k]).sum();
        fitted - f64::from(batch.input[b * DIM + i])
    };
    let mut expected = d.clone();
    for i in 0..DIM {
        for j in 0..ATOMS {
            let sum: f64 = (0..BATCH).map(|b| residual(b, i) * sign(z[b * ATOMS + j])).sum();
            expected[i * ATOMS + j] -= 0.4 * sum / BATCH as f64;
        }
    }
    for j in 0..ATOMS {
        let norm = (0..DIM).map(|i| expected[i * ATOMS + j].powi(2)).sum::<f64>().sqrt();
        (0..DIM).for_each(|i| expected[i * ATOMS + j] /= norm);
    }
    let fit: f64 = (0..BATCH)
        .flat_map(|b| (0..DIM).map(move |i| (b, i)))
        .map(|(b, i)| residual(b, i).powi(2) / 2.0 / BATCH as f64)
        .sum();
    let record = trainer.step(batch.clone()).unwrap();
    assert!((record.loss - fit).abs() < 1e-5 * fit && record.loss == record.fit, "{record:?}");
    let moved = values(trainer.model().dictionary().atoms());
    for (k, (moved, expected)) in moved.iter().zip(&expected).enumerate() {
        assert!((moved - expected).abs() < 1e-6, "entry {k}: {moved}, not {expected}");
    }
    assert!(moved.iter().zip(&d).any(|(moved, d)| (moved - d).abs() > 1e-3), "no step was made");
}

#[test]
fn a_noodl_step_on_pictures_is_the_formula() {
    const SIZE: usize = 3;
    const STRIDE: usize = 2;
    const SIDE: usize = 7;
    let filters = ConvConfig { atoms: 4, channels: 1, size: SIZE, stride: STRIDE };
    let config = PudleConfig::conv2d(filters).with_step(0.1).with_lambda(0.05).with_layers(5);
    let model = Pudle::<4, ConvDictionary2d>::new(&config, 1, &Device::flex()).unwrap();
    let shape = [2, 1, SIDE, SIDE];
    let input: Vec<f32> = (0..2 * SIDE * SIDE).map(|i| (i as f32 * 0.7).sin()).collect();
    let target: Vec<f32> = input.iter().map(|x| 0.9 * x).collect();
    let tensor = |values: &[f32]| {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    };
    let code = model.encode(tensor(&input), &Noise::Unknown);
    let places = code.dims()[2];
    let residual = values(model.decode(code.clone(), shape) - tensor(&target));
    let (z, d) = (values(code), values(model.dictionary().atoms()));
    let mut expected = d.clone();
    for j in 0..4 {
        for (u, v) in (0..SIZE).flat_map(|u| (0..SIZE).map(move |v| (u, v))) {
            let mut sum = 0.0;
            for b in 0..2 {
                for (y, x) in (0..places).flat_map(|y| (0..places).map(move |x| (y, x))) {
                    let code = z[((b * 4 + j) * places + y) * places + x];
                    let at = (b * SIDE + y * STRIDE + u) * SIDE + x * STRIDE + v;
                    sum += residual[at] * sign(code);
                }
            }
            expected[(j * SIZE + u) * SIZE + v] -= 0.3 * sum / 2.0;
        }
    }
    for atom in expected.chunks_exact_mut(SIZE * SIZE) {
        let norm = atom.iter().map(|d| d * d).sum::<f64>().sqrt();
        atom.iter_mut().for_each(|d| *d /= norm);
    }
    let mut trainer = Trainer::new(model, Update::noodl(0.3));
    trainer
        .step(Batch { shape: shape.to_vec(), input, target, noise: vec![], support: None })
        .unwrap();
    let moved = values(trainer.model().dictionary().atoms());
    for (moved, expected) in moved.iter().zip(&expected) {
        assert!((moved - expected).abs() < 1e-6, "{moved}, not {expected}");
    }
    assert!(moved.iter().zip(&d).any(|(moved, d)| (moved - d).abs() > 1e-3), "no step was made");
}

/// `A` and `Bᵀ` of online dictionary learning by their formulas, and the atoms in rows.
struct ByHand {
    gram: Vec<f64>,
    products: Vec<f64>,
    atoms: Vec<f64>,
    steps: f64,
}

impl ByHand {
    /// A step with the part `rate` of the way, for the codes `z` of the data `x`.
    fn step(&mut self, z: &[f64], x: &[f64], rate: f64) {
        self.steps += 1.0;
        let weight = 1.0 / self.steps.min(10.0 + self.steps / 20.0);
        let mean = |old: f64, new: f64| (1.0 - weight) * old + weight * new / BATCH as f64;
        for j in 0..ATOMS {
            for i in 0..ATOMS {
                let sum = (0..BATCH).map(|b| z[b * ATOMS + j] * z[b * ATOMS + i]).sum();
                self.gram[j * ATOMS + i] = mean(self.gram[j * ATOMS + i], sum);
            }
            for k in 0..DIM {
                let sum = (0..BATCH).map(|b| z[b * ATOMS + j] * x[b * DIM + k]).sum();
                self.products[j * DIM + k] = mean(self.products[j * DIM + k], sum);
            }
        }
        for j in 0..ATOMS {
            let own = self.gram[j * ATOMS + j];
            if own == 0.0 {
                continue;
            }
            let moved: Vec<f64> = (0..DIM)
                .map(|k| {
                    let fitted: f64 = (0..ATOMS)
                        .map(|i| self.gram[j * ATOMS + i] * self.atoms[i * DIM + k])
                        .sum();
                    let slope = self.products[j * DIM + k] - fitted;
                    self.atoms[j * DIM + k] + rate * slope / own
                })
                .collect();
            let norm = moved.iter().map(|d| d * d).sum::<f64>().sqrt();
            (0..DIM).for_each(|k| self.atoms[j * DIM + k] = moved[k] / norm);
        }
    }
}

#[test]
fn steps_of_online_learning_are_the_formula() {
    for rate in [1.0, 0.3] {
        let update = Update { learning_rate: rate, ..Update::online() };
        let mut trainer = trainer(update);
        let rows = |trainer: &Trainer<2, DenseDictionary>| {
            values(trainer.model().dictionary().atoms().transpose())
        };
        let mut expected = ByHand {
            gram: vec![0.0; ATOMS * ATOMS],
            products: vec![0.0; ATOMS * DIM],
            atoms: rows(&trainer),
            steps: 0.0,
        };
        let start = rows(&trainer);
        // Past the steps after which the oldest count less than in a plain mean.
        for step in 0..14 {
            let batch = draws().batch(step).unwrap();
            let data = TensorData::new(batch.input.clone(), [BATCH, DIM]);
            let code =
                trainer.model().encode(Tensor::from_data(data, &Device::flex()), &Noise::Unknown);
            let x: Vec<f64> = batch.input.iter().map(|x| f64::from(*x)).collect();
            expected.step(&values(code), &x, rate);
            trainer.step(batch).unwrap();
            // The next step is again from the same atoms.
            for (k, (found, value)) in rows(&trainer).iter().zip(&mut expected.atoms).enumerate() {
                assert!((found - *value).abs() < 1e-4, "entry {k}: {found}, not {value}");
                *value = *found;
            }
        }
        assert!(rows(&trainer).iter().zip(&start).any(|(moved, d)| (moved - d).abs() > 1e-3));
    }
}

#[test]
fn online_learning_of_filters_is_an_error() {
    let filters = ConvConfig { atoms: 4, channels: 1, size: 3, stride: 2 };
    let config = PudleConfig::conv2d(filters).with_step(0.1);
    let model = Pudle::<4, ConvDictionary2d>::new(&config, 1, &Device::flex()).unwrap();
    let (shape, input) = (vec![1, 1, 5, 5], vec![0.1; 25]);
    let batch = Batch { shape, target: input.clone(), input, noise: vec![], support: None };
    let error = Trainer::new(model, Update::online()).step(batch).unwrap_err().to_string();
    assert!(error.contains("not for filters"), "{error}");
}

/// The same problem as a run.
fn run_config(update: UpdateRule, steps: u64) -> RunConfig {
    RunConfig {
        seed: 3,
        backend: Default::default(),
        versions: Default::default(),
        model: model(update),
        data: DataConfig::SparseCoding(SparseCodingSettings {
            sparsity: 2,
            count: 30,
            amplitude: Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerEntry },
            noise: 0.0,
            length: None,
        }),
        training: TrainingConfig {
            steps,
            batch: BATCH,
            update,
            learning_rate: 0.01,
            epsilon: 1e-8,
            initialization: Initialization::Perturbed { sd: 0.1 },
            checkpoint_every: 4,
            ..TrainingConfig::default()
        },
    }
}

fn atoms(run: &Path) -> Vec<f32> {
    let bytes = fs::read(run.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor("dictionary.atoms").unwrap();
    view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn a_run_and_a_trainer_make_the_same_steps() {
    for rule in UpdateRule::ALL {
        let update = match rule {
            UpdateRule::Adam => Update::adam(0.01),
            UpdateRule::Noodl => Update::noodl(0.01),
            UpdateRule::Online => Update { learning_rate: 0.01, ..Update::online() },
        };
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        train(run_config(rule, 9), &run, Interrupter::new()).unwrap();
        let mut trainer = trainer(update);
        for step in 0..9 {
            trainer.step(draws().batch(step).unwrap()).unwrap();
        }
        let by_hand: Vec<f32> = trainer.model().dictionary().atoms().into_data().iter().collect();
        assert_eq!(atoms(&run), by_hand, "{rule}");
    }
}

#[test]
fn a_resumed_run_of_any_rule_ends_as_the_uninterrupted_one() {
    for rule in UpdateRule::ALL {
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        train(run_config(rule, 11), &whole, Interrupter::new()).unwrap();
        train(run_config(rule, 6), &parts, Interrupter::new()).unwrap();
        let more = |config: &mut RunConfig| {
            config.training.steps = 11;
            Ok(())
        };
        assert_eq!(resume(&parts, more, Interrupter::new()).unwrap(), Outcome::Finished);
        for name in ["model.safetensors", "metrics.csv", "config.toml"] {
            let [a, b] = [&whole, &parts].map(|run| fs::read(run.join(name)).unwrap());
            assert!(a == b, "{rule}: {name} differs");
        }
    }
}

#[test]
fn a_trainer_goes_on_from_what_it_saved() {
    for update in [Update::adam(0.01).with_epsilon(1e-3), Update::noodl(0.4), Update::online()] {
        let mut whole = trainer(update);
        let dir = tempfile::tempdir().unwrap();
        for step in 0..9 {
            if step == 5 {
                whole.save(dir.path()).unwrap();
            }
            whole.step(draws().batch(step).unwrap()).unwrap();
        }
        let mut again = trainer(update);
        again.load(dir.path(), 5).unwrap();
        assert_eq!(again.steps(), 5);
        for step in 5..9 {
            again.step(draws().batch(step).unwrap()).unwrap();
        }
        let [a, b] = [whole, again].map(|trainer| trainer.model().dictionary().atoms().into_data());
        assert_eq!(a, b);
        let error = trainer(update).load(dir.path(), 4).unwrap_err().to_string();
        assert!(error.contains("model-4.bpk"), "{error}");
    }
}

#[test]
fn a_diverging_trainer_names_the_step_and_keeps_its_model() {
    let mut trainer = trainer(Update::adam(0.01));
    let mut batch = draws().batch(0).unwrap();
    trainer.step(batch.clone()).unwrap();
    let before = trainer.model().dictionary().atoms().into_data();
    batch.input[0] = f32::NAN;
    let error = trainer.step(batch).unwrap_err().to_string();
    assert!(error.starts_with("step 2: the loss is NaN"), "{error}");
    assert_eq!(trainer.steps(), 1);
    assert_eq!(trainer.model().dictionary().atoms().into_data(), before);
}

#[test]
fn online_learning_is_refused_where_it_has_no_sums() {
    let online = || run_config(UpdateRule::Online, 5);
    assert!(online().validate().is_ok() && online().refuses_online().is_none());
    type Change<'a> = &'a dyn Fn(&mut RunConfig);
    let changes: [(Change<'_>, &str); 4] = [
        (&|config| config.model.gradient = GradientEstimator::AE_LS, "goes through the layers"),
        (&|config| config.training.clip = Some(1.0), "clipped"),
        (&|config| config.model = config.model.clone().with_tying(WeightTying::Gain), "not tied"),
        (&|config| config.training.learning_rate = 1.5, "in (0, 1] for the update rule online"),
    ];
    for (change, said) in changes {
        let mut config = online();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("`training."), "{error}");
    }
    let filters = ConvConfig { atoms: 4, channels: 1, size: 3, stride: 2 };
    let pictures = PudleConfig::conv2d(filters).with_gradient(GradientEstimator::DEC);
    let config = RunConfig { model: pictures, ..online() };
    assert_eq!(config.refuses_online(), Some("atoms are filters"));
}

#[test]
fn settings_of_update_rules() {
    let text = toml::to_string(&run_config(UpdateRule::Adam, 5)).unwrap();
    let without = text.replace("update = \"adam\"\n", "");
    assert_ne!(text, without);
    let path = Path::new("config.toml");
    let old = RunConfig::parse(&without, path).unwrap();
    assert_eq!(old, run_config(UpdateRule::Adam, 5), "a run from before there was a choice");
    let text = text.replace("\"adam\"", "\"noodl\"");
    assert_eq!(RunConfig::parse(&text, path).unwrap().training.update, UpdateRule::Noodl);
    for rule in UpdateRule::ALL {
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }
    assert!("sgd".parse::<UpdateRule>().is_err());

    let noodl = |change: &dyn Fn(&mut RunConfig)| {
        let mut config = run_config(UpdateRule::Noodl, 5);
        change(&mut config);
        config.validate().map_err(|error| error.to_string())
    };
    assert_eq!(noodl(&|config| config.training.learning_rate = 20.0), Ok(()));
    type Change<'a> = &'a dyn Fn(&mut RunConfig);
    let changes: [(Change<'_>, &str); 5] = [
        (
            &|config| config.training.learning_rate = 1001.0,
            "in (0, 1000] for the update rule noodl",
        ),
        (&|config| config.training.update = UpdateRule::Adam, "in (0, 1] for the update rule adam"),
        (&|config| config.model = dense().with_tying(WeightTying::Gain), "not tied"),
        (
            &|config| config.model = dense().with_threshold(ThresholdConfig::learned(0.1)),
            "thresholds are learned",
        ),
        (&|config| config.model.step = Step::Learned(0.1), "step is learned"),
    ];
    for (change, said) in changes {
        let error = noodl(&|config| {
            config.training.learning_rate = 20.0;
            change(config);
        });
        let error = error.unwrap_err();
        assert!(error.contains(said) && error.contains("`training."), "{error}");
    }
}
