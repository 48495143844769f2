//! Learns a dictionary from data it made, with each gradient estimator in turn.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/dictionary-recovery
//! ```
//!
//! The whole experiment, over layers, seeds, batches, rates and noise, is `pudle experiment
//! dictionary-recovery`.

use std::error::Error;

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{DenseConfig, DenseDictionary, Dictionary, GradientEstimator, Pudle, PudleConfig};
use pudle_data::{Amplitude, SignRule, Source, SparseCoding, SparseCodingConfig};
use pudle_train::{Trainer, Update};

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
        let model = Pudle::<2, DenseDictionary>::from_data(&config, start.clone(), &device)?;
        let mut trainer = Trainer::new(model, Update::adam(1e-3));
        for step in 0..=STEPS {
            if step % 100 == 0 {
                let error = trainer.model().dictionary().atoms() - truth.clone();
                let error = error.square().sum().into_scalar::<f64>().sqrt();
                println!("{gradient:<9} step {step:4}  ‖D − D*‖ = {error:.3}");
            }
            trainer.step(draws.batch(step)?)?;
        }
    }
    println!(
        "Same data, same forward pass: the gradient alone decides how biased the dictionary is."
    );
    Ok(())
}
