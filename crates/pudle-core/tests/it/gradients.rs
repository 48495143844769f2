//! Every gradient estimator against finite differences, closed forms and each other, in f64.

use crate::common::{conv1d, conv2d, dense, model, normal, relative_error, scalar, tensor, values};
use burn::tensor::{DType, Device, Tensor, TensorData};
use pudle_core::{
    Algorithm, Configured, ConvDictionary1d, ConvDictionary2d, DenseDictionary, Dictionary,
    DictionaryConfig, GradientEstimator, Kernels, Loss, Noise, Proximal, Pudle, PudleConfig,
    Response, ThresholdConfig, WeightTying,
};

const ESTIMATORS: [GradientEstimator; 7] = [
    GradientEstimator::DEC,
    GradientEstimator::AE_LASSO,
    GradientEstimator::AE_LS,
    GradientEstimator::truncated(2),
    GradientEstimator::IMPLICIT,
    GradientEstimator { loss: Loss::Lasso, response: Response::Last(1) },
    GradientEstimator { loss: Loss::Lasso, response: Response::Implicit },
];

/// Both implementations of the pass.
const BOTH: [Kernels; 2] = [Kernels::Composed, Kernels::Fused];

/// A problem: settings, atoms and a noisy batch with its clean target.
struct Problem<const D: usize> {
    config: PudleConfig,
    atoms: Vec<f64>,
    x: Tensor<D>,
    target: Tensor<D>,
}

impl<const D: usize> Problem<D> {
    fn new<A: Configured<D>>(config: PudleConfig, extent: [usize; D]) -> Self {
        let device = Device::flex();
        let atoms = values(model::<D, A>(&config, 21, &device).dictionary().atoms());
        let target: Tensor<D> = tensor(normal(&extent, 22), &device);
        let x = target.clone() + tensor::<D>(normal(&extent, 23), &device) * 0.1;
        Self { config, atoms, x, target }
    }

    fn model<A: Configured<D>>(
        &self,
        gradient: GradientEstimator,
        atoms: &[f64],
        device: &Device,
    ) -> Pudle<D, A> {
        let config = self.config.clone().with_gradient(gradient);
        let atoms = TensorData::new(atoms.to_vec(), config.dictionary.shape());
        Pudle::from_data(&config, atoms, device).unwrap()
    }

    /// The gradient in the atoms, by the model's own backward pass.
    fn gradient<A: Configured<D>>(&self, gradient: GradientEstimator) -> Vec<f64> {
        let device = Device::flex().autodiff();
        let model = self.model::<A>(gradient, &self.atoms, &device);
        let objective = model.objective(
            self.x.clone().autodiff(),
            self.target.clone().autodiff(),
            &Noise::Unknown,
        );
        let grads = objective.loss.backward();
        values(model.dictionary().atoms().grad(&grads).expect("the atoms have a gradient"))
    }

    fn loss<A: Configured<D>>(&self, gradient: GradientEstimator, atoms: &[f64]) -> f64 {
        let model = self.model::<A>(gradient, atoms, &Device::flex());
        scalar(model.objective(self.x.clone(), self.target.clone(), &Noise::Unknown).loss)
    }

    /// Central finite differences of the loss in every weight.
    ///
    /// A kink within the step shows as a difference between two step sizes; such weights are left
    /// out, and must be few.
    fn assert_finite_differences<A: Configured<D>>(&self, gradient: GradientEstimator) {
        let exact = self.gradient::<A>(gradient);
        let scale = exact.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        let difference = |i: usize, h: f64| {
            let mut atoms = self.atoms.clone();
            atoms[i] += h;
            let above = self.loss::<A>(gradient, &atoms);
            atoms[i] -= 2.0 * h;
            (above - self.loss::<A>(gradient, &atoms)) / (2.0 * h)
        };
        let mut kinks = 0;
        for (i, exact) in exact.iter().enumerate() {
            let (fine, coarse) = (difference(i, 1e-5), difference(i, 3e-5));
            if (fine - coarse).abs() > 1e-5 * scale {
                kinks += 1;
                continue;
            }
            assert!(
                (fine - exact).abs() <= 1e-6 * scale,
                "{gradient} {:?}: weight {i}: {fine} against {exact}",
                self.config
            );
        }
        assert!(kinks * 10 <= exact.len(), "{kinks} kinks in {} weights", exact.len());
    }
}

fn configs(dictionary: DictionaryConfig, step: f64, lambda: f64) -> Vec<PudleConfig> {
    let mut configs = Vec::new();
    for prox in operators(dictionary.atoms()) {
        for layers in [1, 2, 5] {
            // A hard level is not multiplied by the step size.
            let lambda = if prox == Proximal::Hard { step } else { lambda };
            let config = PudleConfig::new(dictionary).with_step(step).with_lambda(lambda);
            let config = config.with_prox(prox).with_layers(layers);
            for kernels in BOTH {
                if kernels == Kernels::Composed || prox.kernel().is_some() {
                    configs.push(config.clone().with_kernels(kernels));
                }
            }
        }
    }
    configs
}

/// All operators, with settings that fit so many atoms.
fn operators(atoms: usize) -> Vec<Proximal> {
    let group = format!("group:{}", if atoms.is_multiple_of(3) { 3 } else { 1 });
    let more = ["top-k:2".parse().unwrap(), group.parse().unwrap()];
    [Proximal::Soft, Proximal::Relu, Proximal::Hard].into_iter().chain(more).collect()
}

fn finite_differences<const D: usize, A: Configured<D>>(
    dictionary: DictionaryConfig,
    extent: [usize; D],
) {
    for config in configs(dictionary, 0.15, 0.3) {
        let problem = Problem::<D>::new::<A>(config, extent);
        for gradient in [GradientEstimator::AE_LASSO, GradientEstimator::AE_LS] {
            problem.assert_finite_differences::<A>(gradient);
        }
    }
    let base = PudleConfig::new(dictionary).with_step(0.15).with_layers(4);
    for config in [
        base.clone().with_algorithm(Algorithm::Fista).with_lambda(0.3),
        base.with_threshold(ThresholdConfig::decaying(0.4, 0.8)),
    ] {
        for kernels in BOTH {
            Problem::<D>::new::<A>(config.clone().with_kernels(kernels), extent)
                .assert_finite_differences::<A>(GradientEstimator::AE_LS);
        }
    }
}

#[test]
fn dense_gradients_are_finite_differences() {
    finite_differences::<2, DenseDictionary>(dense(7, 9), [3, 7]);
}

#[test]
fn conv1d_gradients_are_finite_differences() {
    finite_differences::<3, ConvDictionary1d>(conv1d(3, 2, 5, 2), [2, 2, 16]);
}

#[test]
fn conv2d_gradients_are_finite_differences() {
    finite_differences::<4, ConvDictionary2d>(conv2d(3, 1, 4, 2), [2, 1, 11, 10]);
}

#[test]
fn learned_thresholds_have_the_gradient_of_finite_differences() {
    let dictionary = conv2d(3, 1, 4, 2);
    let loss = |prox, lambda: f64| {
        let config = PudleConfig::new(dictionary).with_step(0.15).with_prox(prox).with_layers(4);
        let problem =
            Problem::<4>::new::<ConvDictionary2d>(config.with_lambda(lambda), [2, 1, 11, 10]);
        (problem.loss::<ConvDictionary2d>(GradientEstimator::AE_LS, &problem.atoms), problem)
    };
    for prox in [Proximal::Soft, Proximal::Relu] {
        let h = 1e-5;
        let expected = (loss(prox, 0.3 + h).0 - loss(prox, 0.3 - h).0) / (2.0 * h);
        let mut problem = loss(prox, 0.3).1;
        problem.config.threshold = ThresholdConfig::learned(0.3);
        let device = Device::flex().autodiff();
        let model =
            problem.model::<ConvDictionary2d>(GradientEstimator::AE_LS, &problem.atoms, &device);
        let objective = model.objective(
            problem.x.clone().autodiff(),
            problem.target.clone().autodiff(),
            &Noise::Unknown,
        );
        let grads = objective.loss.backward();
        let pudle_core::Level::PerAtom(lambda) = model.threshold().lambda(0, &Noise::Unknown)
        else {
            panic!("learned thresholds are per atom");
        };
        let sum: f64 = values(lambda.grad(&grads).expect("λ has a gradient")).iter().sum();
        assert!((sum - expected).abs() < 1e-6 * expected.abs(), "{sum} {expected}");
    }
}

#[test]
fn dec_is_its_closed_form() {
    let (m, p, b) = (8, 12, 4);
    for config in configs(dense(m, p), 0.2, 0.2) {
        let problem = Problem::<2>::new::<DenseDictionary>(config, [b, m]);
        let gradient = problem.gradient::<DenseDictionary>(GradientEstimator::DEC);
        let model = problem.model::<DenseDictionary>(
            GradientEstimator::DEC,
            &problem.atoms,
            &Device::flex(),
        );
        let z = model.encode(problem.x.clone(), &Noise::Unknown);
        let error = model.decode(z.clone(), [b, m]) - problem.target.clone();
        let closed = values(error.transpose().matmul(z) / b as f64);
        assert!(relative_error(&gradient, &closed) < 1e-10);
    }
}

#[test]
fn conv_dec_is_its_closed_form() {
    // ∂/∂D_j[y, x] = mean_b Σ_uv (D z − x)[u s + y, v s + x] z_j[u, v], as plain loops.
    let (b, p, k, s, h, w) = (2, 3, 4, 3, 12, 14);
    for config in configs(conv2d(p, 1, k, s), 0.2, 0.2) {
        let problem = Problem::<4>::new::<ConvDictionary2d>(config, [b, 1, h, w]);
        let gradient = problem.gradient::<ConvDictionary2d>(GradientEstimator::DEC);
        let model = problem.model::<ConvDictionary2d>(
            GradientEstimator::DEC,
            &problem.atoms,
            &Device::flex(),
        );
        let code = model.encode(problem.x.clone(), &Noise::Unknown);
        let error = values(model.decode(code.clone(), [b, 1, h, w]) - problem.target.clone());
        let [_, _, rows, columns] = code.dims();
        let code = values(code);
        let mut closed = vec![0.0; p * k * k];
        for i in 0..b {
            for j in 0..p {
                for (u, v) in (0..rows).flat_map(|u| (0..columns).map(move |v| (u, v))) {
                    for (y, x) in (0..k).flat_map(|y| (0..k).map(move |x| (y, x))) {
                        closed[(j * k + y) * k + x] += error[(i * h + u * s + y) * w + v * s + x]
                            * code[((i * p + j) * rows + u) * columns + v]
                            / b as f64;
                    }
                }
            }
        }
        assert!(relative_error(&gradient, &closed) < 1e-10);
    }
}

#[test]
fn gains_have_their_closed_form() {
    // x̂ = D diag(g) z: ∂/∂g_j = ⟨D_j, ∂/∂D_j⟩ of the decoder's part, which under dec is all there is, at g = 1.
    for config in configs(conv2d(3, 1, 4, 3), 0.2, 0.2) {
        let problem = Problem::<4>::new::<ConvDictionary2d>(config.clone(), [2, 1, 12, 14]);
        let of_atoms = problem.gradient::<ConvDictionary2d>(GradientEstimator::DEC);
        let config = config.with_tying(WeightTying::Gain);
        let problem = Problem::<4>::new::<ConvDictionary2d>(config, [2, 1, 12, 14]);
        let device = Device::flex().autodiff();
        let model =
            problem.model::<ConvDictionary2d>(GradientEstimator::DEC, &problem.atoms, &device);
        let objective = model.objective(
            problem.x.clone().autodiff(),
            problem.target.clone().autodiff(),
            &Noise::Unknown,
        );
        let grads = objective.loss.backward();
        let gain = values(model.gain().unwrap().grad(&grads).expect("gains have a gradient"));
        let atoms = values(model.dictionary().atoms());
        let parts = atoms.chunks(16).zip(of_atoms.chunks(16));
        let closed: Vec<f64> =
            parts.map(|(d, g)| d.iter().zip(g).map(|(d, g)| d * g).sum()).collect();
        assert!(relative_error(&gain, &closed) < 1e-10, "{gain:?} {closed:?}");
    }
}

#[test]
fn conv1d_dec_is_its_closed_form() {
    let (b, p, c, k, s, n) = (2, 3, 2, 5, 2, 16);
    for config in configs(conv1d(p, c, k, s), 0.2, 0.2) {
        let problem = Problem::<3>::new::<ConvDictionary1d>(config, [b, c, n]);
        let gradient = problem.gradient::<ConvDictionary1d>(GradientEstimator::DEC);
        let model = problem.model::<ConvDictionary1d>(
            GradientEstimator::DEC,
            &problem.atoms,
            &Device::flex(),
        );
        let code = model.encode(problem.x.clone(), &Noise::Unknown);
        let error = values(model.decode(code.clone(), [b, c, n]) - problem.target.clone());
        let positions = code.dims()[2];
        let code = values(code);
        let mut closed = vec![0.0; p * c * k];
        for (i, j, u) in
            (0..b).flat_map(|i| (0..p).flat_map(move |j| (0..positions).map(move |u| (i, j, u))))
        {
            for (channel, y) in (0..c).flat_map(|channel| (0..k).map(move |y| (channel, y))) {
                closed[(j * c + channel) * k + y] += error[(i * c + channel) * n + u * s + y]
                    * code[(i * p + j) * positions + u]
                    / b as f64;
            }
        }
        assert!(relative_error(&gradient, &closed) < 1e-10);
    }
}

fn truncated_to_all_layers<const D: usize, A: Configured<D>>(
    dictionary: DictionaryConfig,
    extent: [usize; D],
) {
    for config in configs(dictionary, 0.2, 0.2) {
        let layers = config.layers;
        let problem = Problem::<D>::new::<A>(config, extent);
        let truncated = problem.gradient::<A>(GradientEstimator::truncated(layers));
        assert_eq!(truncated, problem.gradient::<A>(GradientEstimator::AE_LS));
        if layers > 1 {
            let shorter = problem.gradient::<A>(GradientEstimator::truncated(1));
            assert_ne!(truncated, shorter);
        }
    }
}

#[test]
fn truncated_to_all_layers_is_ae_ls() {
    truncated_to_all_layers::<2, DenseDictionary>(dense(7, 9), [3, 7]);
    truncated_to_all_layers::<3, ConvDictionary1d>(conv1d(3, 2, 5, 2), [2, 2, 16]);
    truncated_to_all_layers::<4, ConvDictionary2d>(conv2d(3, 1, 4, 2), [2, 1, 11, 10]);
}

/// With enough layers ae-ls is the implicit gradient, and with the lasso loss both are dec: at the
/// minimum the lasso's gradient in the code vanishes (envelope theorem).
fn implicit_is_the_limit<const D: usize, A: Configured<D>>(
    dictionary: DictionaryConfig,
    extent: [usize; D],
) {
    for prox in [Proximal::Soft, Proximal::Relu] {
        let config = PudleConfig::new(dictionary)
            .with_prox(prox)
            .with_step(0.2)
            .with_lambda(0.5)
            .with_layers(3000);
        let mut problem = Problem::<D>::new::<A>(config, extent);
        let implicit = problem.gradient::<A>(GradientEstimator::IMPLICIT);
        let unrolled = problem.gradient::<A>(GradientEstimator::AE_LS);
        assert!(
            relative_error(&unrolled, &implicit) < 1e-6,
            "{}",
            relative_error(&unrolled, &implicit)
        );
        // Noise-free: the envelope theorem holds where the target is the datum.
        problem.target = problem.x.clone();
        let dec = problem.gradient::<A>(GradientEstimator::DEC);
        let lasso = GradientEstimator { loss: Loss::Lasso, response: Response::Implicit };
        assert!(relative_error(&problem.gradient::<A>(lasso), &dec) < 1e-6);
        let unrolled = problem.gradient::<A>(GradientEstimator::AE_LASSO);
        assert!(relative_error(&unrolled, &dec) < 1e-6);
        assert!(relative_error(&problem.gradient::<A>(GradientEstimator::IMPLICIT), &dec) > 1e-2);
    }
}

#[test]
fn implicit_is_the_limit_of_ae_ls() {
    implicit_is_the_limit::<2, DenseDictionary>(dense(12, 16), [3, 12]);
    implicit_is_the_limit::<3, ConvDictionary1d>(conv1d(3, 2, 6, 3), [2, 2, 18]);
    implicit_is_the_limit::<4, ConvDictionary2d>(conv2d(3, 1, 4, 3), [2, 1, 10, 13]);
}

#[test]
fn implicit_is_the_limit_under_a_hard_threshold() {
    let config = PudleConfig::new(dense(12, 16))
        .with_prox(Proximal::Hard)
        .with_step(0.2)
        .with_lambda(0.5)
        .with_layers(3000);
    let problem = Problem::<2>::new::<DenseDictionary>(config, [3, 12]);
    let implicit = problem.gradient::<DenseDictionary>(GradientEstimator::IMPLICIT);
    let unrolled = problem.gradient::<DenseDictionary>(GradientEstimator::AE_LS);
    assert!(relative_error(&unrolled, &implicit) < 1e-6);
    let dec = problem.gradient::<DenseDictionary>(GradientEstimator::DEC);
    assert!(relative_error(&implicit, &dec) > 1e-2);
}

#[test]
fn implicit_thresholds_have_the_limit_of_the_unrolled_gradient() {
    let config = PudleConfig::new(dense(12, 16))
        .with_step(0.2)
        .with_layers(3000)
        .with_threshold(ThresholdConfig::learned(0.5));
    let problem = Problem::<2>::new::<DenseDictionary>(config, [3, 12]);
    let gradient = |estimator| {
        let device = Device::flex().autodiff();
        let model = problem.model::<DenseDictionary>(estimator, &problem.atoms, &device);
        let objective = model.objective(
            problem.x.clone().autodiff(),
            problem.target.clone().autodiff(),
            &Noise::Unknown,
        );
        let grads = objective.loss.backward();
        match model.threshold().lambda(0, &Noise::Unknown) {
            pudle_core::Level::PerAtom(lambda) => values(lambda.grad(&grads).unwrap()),
            pudle_core::Level::Scalar(_) => panic!("learned thresholds are per atom"),
        }
    };
    let (implicit, unrolled) =
        (gradient(GradientEstimator::IMPLICIT), gradient(GradientEstimator::AE_LS));
    assert!(relative_error(&unrolled, &implicit) < 1e-6);
}

fn forward_passes_are_equal<const D: usize, A: Configured<D>>(
    dictionary: DictionaryConfig,
    extent: [usize; D],
) {
    for algorithm in [Algorithm::Ista, Algorithm::Fista] {
        for config in configs(dictionary, 0.2, 0.2) {
            let config = config.with_layers(5).with_algorithm(algorithm);
            let problem = Problem::<D>::new::<A>(config, extent);
            let mut first: Option<(Vec<f64>, Vec<f64>, f64)> = None;
            for gradient in ESTIMATORS {
                for device in [Device::flex(), Device::flex().autodiff()] {
                    let model = problem.model::<A>(gradient, &problem.atoms, &device);
                    let lift = |x: &Tensor<D>| {
                        if device.is_autodiff() { x.clone().autodiff() } else { x.clone() }
                    };
                    let objective =
                        model.objective(lift(&problem.x), lift(&problem.target), &Noise::Unknown);
                    if gradient.loss == Loss::Fit {
                        assert_eq!(
                            scalar(objective.loss.inner()),
                            scalar(objective.fit.clone().inner())
                        );
                    }
                    let forward = (
                        values(objective.code.inner()),
                        values(objective.reconstruction.inner()),
                        scalar(objective.fit.inner()),
                    );
                    assert_eq!(first.get_or_insert(forward.clone()), &forward, "{gradient}");
                }
            }
        }
    }
}

#[test]
fn forward_passes_are_equal_to_the_bit() {
    forward_passes_are_equal::<2, DenseDictionary>(dense(7, 9), [3, 7]);
    forward_passes_are_equal::<3, ConvDictionary1d>(conv1d(3, 2, 5, 2), [2, 2, 16]);
    forward_passes_are_equal::<4, ConvDictionary2d>(conv2d(3, 1, 4, 2), [2, 1, 11, 10]);
}

#[test]
fn a_dropped_response_records_no_graph_in_the_encoder() {
    let device = Device::flex().autodiff();
    let config = PudleConfig::new(dense(7, 9)).with_gradient(GradientEstimator::DEC);
    let model = Pudle::<2, DenseDictionary>::new(&config, 0, &device).unwrap();
    let x = Tensor::<2>::ones([2, 7], (&device, DType::F32));
    let objective = model.objective(x.clone(), x.clone(), &Noise::Unknown);
    assert!(!objective.code.is_tracked() && objective.reconstruction.is_tracked());
    let config = config.with_gradient(GradientEstimator::AE_LS);
    let model = Pudle::<2, DenseDictionary>::new(&config, 0, &device).unwrap();
    assert!(model.objective(x.clone(), x, &Noise::Unknown).code.is_tracked());
}

#[test]
fn projected_weights_are_leaves_that_are_trained() {
    let device = Device::flex().autodiff();
    let config = PudleConfig::new(dense(7, 9)).with_threshold(ThresholdConfig::learned(0.1));
    let model = Pudle::<2, DenseDictionary>::new(&config, 0, &device).unwrap().project();
    let x = Tensor::<2>::ones([2, 7], (&device, DType::F32));
    let grads = model.objective(x.clone(), x, &Noise::Unknown).loss.backward();
    assert!(model.dictionary().atoms().grad(&grads).is_some());
    let pudle_core::Level::PerAtom(lambda) = model.threshold().lambda(0, &Noise::Unknown) else {
        panic!("learned thresholds are per atom");
    };
    assert!(lambda.grad(&grads).is_some());
}

#[test]
fn layers_end_in_the_code() {
    let device = Device::flex();
    // Each layer by itself is composed, and so equal to the bit to a composed pass alone.
    let config = PudleConfig::new(dense(7, 9))
        .with_layers(4)
        .with_algorithm(Algorithm::Fista)
        .with_kernels(Kernels::Composed);
    let model = Pudle::<2, DenseDictionary>::new(&config, 3, &device).unwrap();
    let x = Tensor::<2>::ones([2, 7], &device);
    let layers = model.encode_layers(x.clone(), &Noise::Unknown);
    assert_eq!(layers.len(), 4);
    assert_eq!(values(layers[3].clone()), values(model.encode(x.clone(), &Noise::Unknown)));
    let shorter = Pudle::<2, DenseDictionary>::new(&config.with_layers(2), 3, &device).unwrap();
    assert_eq!(values(layers[1].clone()), values(shorter.encode(x, &Noise::Unknown)));
}
