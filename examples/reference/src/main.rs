//! Runs an exported network on data, and takes its gradients: numbers to compare with a program of your own.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/reference NETWORK DATA OUTPUT [all]
//! ```
//!
//! `NETWORK` is a file of `pudle export`. `DATA` is a safetensors file with a tensor `x` in the shape of the data, and
//! perhaps `sigma`, a number for each datum. `OUTPUT` gets `x_hat` (the mean over all shifts with `all`), and `code` and
//! the gradients of the atoms, `dec`, `ae-lasso` and `ae-ls`, if the atoms cover the data. The loss is the mean over the
//! batch of `½‖x − x̂‖²`, and for `ae-lasso` of `½‖x − x̂‖² + λ‖z‖₁`.

use std::error::Error;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use pudle_core::{AnyPudle, Configured, GradientEstimator, Noise, Pudle};
use pudle_train::{ImportOptions, import_dictionary};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// A tensor of the output.
struct Output {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn output<const D: usize>(name: &str, tensor: Tensor<D>) -> Output {
    let data = tensor.into_data();
    let bytes = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
    Output { name: name.to_owned(), shape: data.shape().to_vec(), bytes }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, data, to, rest @ ..] = arguments.as_slice() else {
        return Err("usage: reference NETWORK DATA OUTPUT [all]".into());
    };
    let device = Device::flex();
    let imported = import_dictionary(Path::new(network), &ImportOptions::default(), &device)?;
    let bytes = std::fs::read(data)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let read = |name: &str| -> Result<TensorData, Box<dyn Error>> {
        let view = file.tensor(name)?;
        Ok(TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), DType::F32))
    };
    let noise = match read("sigma") {
        Ok(sigma) => Noise::PerDatum(sigma.iter::<f64>().collect()),
        Err(_) => Noise::Unknown,
    };
    let x = read("x")?;
    let outputs = match imported.checkpoint.model {
        AnyPudle::Conv2d(model) if rest.first().is_some_and(|word| word == "all") => {
            let stride = imported.checkpoint.config.dictionary.stride().unwrap_or(1);
            let x = Tensor::<4>::from_data(x, &device);
            let mean = model.reconstruct_shifted(x, &noise, stride * stride);
            vec![output("x_hat", mean)]
        }
        AnyPudle::Conv2d(model) => outputs(&model, x, &noise)?,
        AnyPudle::Conv1d(model) => outputs(&model, x, &noise)?,
        AnyPudle::Dense(model) => outputs(&model, x, &noise)?,
    };
    let views = outputs.iter().map(|output| {
        let view = TensorView::new(Dtype::F32, output.shape.clone(), &output.bytes);
        view.map(|view| (output.name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>()?;
    std::fs::write(to, safetensors::serialize(views, None)?)?;
    Ok(())
}

/// Reconstruction, code and gradients.
fn outputs<const D: usize, A: Configured<D>>(
    model: &Pudle<D, A>,
    x: TensorData,
    noise: &Noise,
) -> Result<Vec<Output>, Box<dyn Error>> {
    let device = Device::flex();
    let x = Tensor::<D>::from_data(x, &device);
    let mut outputs = vec![output("x_hat", model.reconstruct(x.clone(), noise))];
    if model.dictionary().covering(x.dims()) != x.dims() {
        return Ok(outputs);
    }
    outputs.push(output("code", model.encode(x.clone(), noise)));
    let weights = || model.weights().into_iter().map(|weight| (weight.path, weight.values));
    for gradient in [GradientEstimator::DEC, GradientEstimator::AE_LASSO, GradientEstimator::AE_LS]
    {
        let config = model.config().clone().with_gradient(gradient);
        if config.validate().is_err() {
            continue;
        }
        let atoms = model.dictionary().atoms().into_data();
        let device = Device::flex().autodiff();
        let model = Pudle::<D, A>::from_data(&config, atoms, &device)?.with_weights(weights())?;
        let x = x.clone().autodiff();
        let grads = model.objective(x.clone(), x, noise).loss.backward();
        if let Some(gradient_of_atoms) = model.dictionary().atoms().grad(&grads) {
            outputs.push(output(&gradient.to_string(), gradient_of_atoms));
        }
    }
    Ok(outputs)
}
