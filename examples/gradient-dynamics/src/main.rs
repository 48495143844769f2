//! Convergence of the gradients of an unrolled network with the number of layers.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/gradient-dynamics
//! ```
//!
//! `pudle experiment gradient-dynamics` is the complete experiment, with several seeds and single data.

use std::error::Error;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    DenseConfig, DenseDictionary, Dictionary, GradientEstimator, Noise, Pudle, PudleConfig,
};
use pudle_data::{Amplitude, SignRule, SparseCoding, SparseCodingConfig};

const DIM: usize = 50;
const ATOMS: usize = 100;
const COUNT: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    // Data x = D* z* with five non-zero entries in each z*, and a dictionary D near D*.
    let draws = SparseCoding::new(SparseCodingConfig {
        dim: DIM,
        atoms: ATOMS,
        sparsity: 5,
        count: COUNT,
        batch: COUNT,
        amplitude: Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerDatum },
        noise_sd: 0.0,
        seed: 0,
    })?;
    let device = Device::flex();
    let (x, z): (Vec<_>, Vec<_>) = (0..COUNT).map(|i| draws.datum(i)).unzip();
    let matrix = |values: Vec<f32>, shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values, shape), &device)
    };
    let x = matrix(x.concat(), [COUNT, DIM]);
    let z = matrix(z.concat(), [COUNT, ATOMS]);
    let near = TensorData::new(draws.perturbed(0.02, 0), [DIM, ATOMS]);

    let model = |layers, gradient| {
        let config = PudleConfig::dense(DenseConfig { dim: DIM, atoms: ATOMS })
            .with_layers(layers)
            .with_lambda(0.2)
            .with_step(0.2)
            .with_gradient(gradient);
        Pudle::<2, DenseDictionary>::from_data(&config, near.clone(), &device)
    };

    // The references are the direction (D z − x) zᵀ at the solution of the lasso, and the same direction at the
    // true code.
    let d = Tensor::<2>::from_data(near.clone(), &device);
    let direction = |z: Tensor<2>| {
        let residual = z.clone().matmul(d.clone().transpose()) - x.clone();
        residual.transpose().matmul(z) / COUNT as f64
    };
    let local = direction(model(1000, GradientEstimator::DEC)?.encode(x.clone(), &Noise::Unknown));
    let global = direction(z);

    let estimators =
        [GradientEstimator::DEC, GradientEstimator::AE_LASSO, GradientEstimator::AE_LS];
    println!("         ‖g_t − ĝ‖                         ‖g_t − g*‖");
    println!("    t    dec      ae-lasso  ae-ls          dec      ae-lasso  ae-ls");
    for layers in [1, 10, 25, 50, 75, 100] {
        let (mut to_local, mut to_global) = (String::new(), String::new());
        for gradient in estimators {
            let model = model(layers, gradient)?.train();
            let batch = x.clone().autodiff();
            let grads = model.objective(batch.clone(), batch, &Noise::Unknown).loss.backward();
            let gradient = model.dictionary().atoms().grad(&grads).expect("atoms are trained");
            let norm = |t: Tensor<2>| t.square().sum().into_scalar::<f64>().sqrt();
            to_local += &format!("{:<9.5}", norm(gradient.clone() - local.clone()));
            to_global += &format!("{:<9.5}", norm(gradient - global.clone()));
        }
        println!("{layers:5}    {to_local}      {to_global}");
    }
    println!("ae-lasso reaches ĝ faster than dec; ae-ls leaves it, and ends nearest to g*.");
    Ok(())
}
