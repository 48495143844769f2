//! The objective of events of the size that least squares gives, in place of codes.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use pudle_core::{Dictionary, DictionaryConfig, Level, Noise, Objective, Proximal, Pudle};

use crate::signals::filters::Filters;
use crate::signals::refine::Rule;
use crate::signals::refit::{Refit, refitted};

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
    let (input, target) = (input.inner(), target.inner());
    let code = plain.encode(input, noise);
    let numbers = |tensor: Tensor<D>| tensor.into_data().iter::<f32>().collect::<Vec<f32>>();
    let filters = Filters::new(numbers(plain.dictionary().atoms()), shape.channels, shape.size);
    let least = match plain.threshold().lambda(config.layers - 1, noise) {
        Level::Scalar(level) => level as f32,
        Level::PerAtom(levels) => levels.min().into_scalar::<f32>(),
    };
    let rule = Rule { least, signed: config.prox != Proximal::Relu };
    let x = numbers(target.clone() - config.offset);
    let batch = target.dims()[0];
    let Refit { code: found, residual, slope } =
        refitted(&filters, &x, &numbers(code.clone()), rule, batch);
    let options = (&code.device(), code.dtype());
    let tensor = |values: Vec<f32>, shape: [usize; D]| {
        Tensor::<D>::from_data(TensorData::new(values, shape), options)
    };
    let residual = tensor(residual, target.dims());
    let fit = residual.clone().square().sum() * (0.5 / batch as f64);
    let atoms = model.dictionary().atoms();
    let slope = tensor(slope, atoms.dims()) / batch as f64;
    // ⟨D, ∂fit/∂D⟩ less itself: of value zero, with the gradient of the fit.
    let recording = atoms.is_autodiff();
    let on = |tensor: Tensor<D>| if recording { tensor.autodiff() } else { tensor };
    let term = (atoms * on(slope)).sum();
    let fit = if recording { fit.autodiff() } else { fit };
    let loss = fit.clone() + (term.clone() - term.detach());
    let code = on(tensor(found, code.dims()));
    Objective { loss, fit, code, baseline: None, reconstruction: on(target - residual) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use pudle_core::{ConvConfig, ConvDictionary1d, GradientEstimator, Kernels, PudleConfig};

    #[test]
    fn the_gradient_is_that_of_the_fit_with_these_events() {
        let shape = ConvConfig { atoms: 2, channels: 2, size: 9, stride: 1 };
        let config = PudleConfig::conv1d(shape)
            .with_layers(60)
            .with_lambda(1.5)
            .with_prox(Proximal::Relu)
            .with_gradient(GradientEstimator::DEC)
            .with_kernels(Kernels::Composed);
        let device = Device::flex().autodiff();
        let model = Pudle::<3, ConvDictionary1d>::new(&config, 4, &device).unwrap();
        let numbers = |t: Tensor<3>| t.into_data().iter::<f32>().collect::<Vec<f32>>();
        let mut code = vec![0.0f32; 3 * 2 * 52];
        for (k, place) in [7, 60, 75, 130, 190, 199, 260, 305].into_iter().enumerate() {
            code[place] = 4.0 + k as f32;
        }
        let code = TensorData::new(code, [3, 2, 52]);
        let plain = Device::flex();
        let wave: Vec<f32> = (0..360).map(|k| 0.3 * (k as f32 * 1.7).sin()).collect();
        let noise = Tensor::<3>::from_data(TensorData::new(wave, [3, 2, 60]), &plain);
        let x = model.valid().decode(Tensor::from_data(code, &plain), [3, 2, 60]) + noise;
        let x = x.autodiff();
        let found = refitted_objective(&model, x.clone(), x.clone(), &Noise::Unknown);
        let exact = model.dictionary().atoms().grad(&found.loss.backward()).unwrap();
        let decoded = model.decode(found.code.clone(), [3, 2, 60]);
        let composed = (decoded.clone() - x.clone()).square().sum() * (0.5 / 3.0);
        let value = |t: Tensor<1>| t.into_scalar::<f32>();
        assert!((value(composed.clone()) - value(found.fit.clone())).abs() < 1e-4);
        assert!((value(found.loss) - value(found.fit)).abs() < 1e-5);
        let wanted = model.dictionary().atoms().grad(&composed.backward()).unwrap();
        let apart = numbers(exact - wanted.clone()).iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let most = numbers(wanted).iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(most > 0.1 && apart < 1e-4 * most, "{apart} of {most}");
        let apart = numbers((decoded - found.reconstruction).inner());
        assert!(apart.iter().all(|v| v.abs() < 1e-4));
        let events = numbers(found.code.inner()).iter().filter(|v| **v != 0.0).count();
        assert!((6..=10).contains(&events), "{events} events");
    }
}
