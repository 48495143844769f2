//! The objective of events of the size that least squares gives, in place of codes.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use pudle_core::{Dictionary, DictionaryConfig, Level, Noise, Objective, Proximal, Pudle};

use crate::signals::filters::Filters;
use crate::signals::refine::Rule;
use crate::signals::refit::refitted;

/// The objective with one entry of the code for each event, at its best place and of the size that least squares gives. The code
/// is a constant. The loss is the fit, as no event is smaller than λ and none is made smaller.
///
/// λ makes codes smaller, and spreads them over neighbours of an event. A gradient that takes them as they are pulls atoms to where
/// they fit what is left, and away from the waveforms. For atoms that are filters along signals at every sample.
pub(crate) fn refitted_objective<const D: usize, A: Dictionary<D>>(
    model: &Pudle<D, A>,
    input: Tensor<D>,
    target: Tensor<D>,
    noise: &Noise,
) -> Objective<D> {
    let plain = model.valid();
    let config = model.config();
    let DictionaryConfig::Conv1d(shape) = config.dictionary else {
        return model.objective(input, target, noise);
    };
    let code = plain.encode(input.clone().inner(), noise);
    let numbers = |tensor: Tensor<D>| tensor.into_data().iter::<f32>().collect::<Vec<f32>>();
    let filters = Filters::new(numbers(plain.dictionary().atoms()), shape.channels, shape.size);
    let least = match plain.threshold().lambda(config.layers - 1, noise) {
        Level::Scalar(level) => level as f32,
        Level::PerAtom(levels) => levels.min().into_scalar::<f32>(),
    };
    let rule = Rule { least, signed: config.prox != Proximal::Relu };
    let x = numbers(input.inner() - config.offset);
    let (batch, options) = (target.dims()[0], (&code.device(), code.dtype()));
    let found = refitted(&filters, &x, &numbers(code.clone()), rule, batch);
    let code = Tensor::<D>::from_data(TensorData::new(found, code.dims()), options);
    let code = if target.is_autodiff() { code.autodiff() } else { code };
    let reconstruction = model.decode(code.clone(), target.dims());
    let fit = (reconstruction.clone() - target).square().sum() * (0.5 / batch as f64);
    Objective { loss: fit.clone(), fit, code, baseline: None, reconstruction }
}
