//! Learns a dictionary from generated data, with each gradient estimator.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/dictionary-recovery
//! ```
//!
//! `pudle experiment dictionary-recovery` is the complete experiment, with different layers, seeds, batch
//! sizes, learning rates and noise levels.

use std::error::Error;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    DenseConfig, DenseDictionary, Dictionary, GradientEstimator, Noise, Pudle, PudleConfig,
};
use pudle_data::{Amplitude, SignRule, Source, SparseCoding, SparseCodingConfig};

const STEPS: u64 = 600;

fn main() -> Result<(), Box<dyn Error>> {
    let shape = DenseConfig { dim: 50, atoms: 100 };
    let draws = SparseCoding::new(SparseCodingConfig {
        dim: shape.dim,
        atoms: shape.atoms,
        sparsity: 5,
        count: 1000,
        batch: 1000,
        amplitude: Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerDatum },
        noise_sd: 0.0,
        seed: 0,
    })?;
    let device = Device::flex();
    let matrix = |values: Vec<f32>| TensorData::new(values, [shape.dim, shape.atoms]);
    let truth = Tensor::<2>::from_data(matrix(draws.dictionary().to_vec()), &device);
    let start = matrix(draws.perturbed(0.1, 0));

    let estimators =
        [GradientEstimator::DEC, GradientEstimator::AE_LASSO, GradientEstimator::AE_LS];
    for gradient in estimators {
        let config = PudleConfig::dense(shape)
            .with_layers(50)
            .with_lambda(0.2)
            .with_step(0.2)
            .with_gradient(gradient);
        let mut model =
            Pudle::<2, DenseDictionary>::from_data(&config, start.clone(), &device)?.train();
        let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
        for step in 0..=STEPS {
            if step % 100 == 0 {
                let error = model.dictionary().atoms().inner() - truth.clone();
                let error = error.square().sum().into_scalar::<f64>().sqrt();
                println!("{gradient:<9} step {step:4}  ‖D − D*‖ = {error:.3}");
            }
            let batch = draws.batch(step)?;
            let x = Tensor::<2>::from_data(TensorData::new(batch.input, batch.shape), &device);
            let x = x.autodiff();
            let grads = model.objective(x.clone(), x, &Noise::Unknown).loss.backward();
            let grads = GradientsParams::from_grads(grads, &model);
            // Project the atoms onto unit norm after every update.
            model = adam.step(1e-3, model, grads).project();
        }
    }
    println!(
        "Same data, same forward pass: the gradient alone decides how biased the dictionary is."
    );
    Ok(())
}
