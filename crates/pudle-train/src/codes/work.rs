//! Work on the model of a coder, of whatever kind.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    AnyPudle, Configured, DenseDictionary, Dictionary, ModelVisitor, Noise, Pudle, PudleConfig,
};

use super::lasso::Lasso;
use crate::error::Result;

/// The lasso's solutions for data, and their reconstructions.
pub(super) fn solved(
    lasso: &Lasso,
    model: &Pudle<2, DenseDictionary>,
    data: TensorData,
    device: &Device,
) -> (Vec<f32>, Vec<f32>) {
    let model = model.valid();
    let x = Tensor::<2>::from_data(data, device);
    let extent = x.dims();
    let correlations = model.dictionary().analyze(x - model.config().offset);
    let shape = correlations.dims();
    let code = lasso.solve(&values(correlations));
    let z = Tensor::<2>::from_data(TensorData::new(code.clone(), shape), device);
    (code, values(model.decode(z, extent)))
}

/// A shape of rank `D`: a batch of `count` data.
fn with_batch<const D: usize>(count: usize, datum: &[usize]) -> [usize; D] {
    std::array::from_fn(|axis| if axis == 0 { count } else { datum[axis - 1] })
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32")
}

/// The shape of the code of one datum.
pub(super) struct ShapeOf<'a> {
    pub datum: &'a [usize],
}

impl ModelVisitor for ShapeOf<'_> {
    type Output = Option<Vec<usize>>;

    fn visit<const D: usize, A: Configured<D>>(
        self,
        model: Option<Pudle<D, A>>,
        _: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output {
        let model = model?;
        let dictionary = model.dictionary();
        let extent = dictionary.covering(with_batch(1, self.datum));
        Some(dictionary.code_shape(extent)?[1..].to_vec())
    }
}

/// Codes and reconstructions by the layers.
pub(super) struct Encode<'a> {
    pub data: TensorData,
    /// 1 where a number is known and 0 where it is missing, if some are.
    pub mask: Option<TensorData>,
    pub noise: &'a Noise,
    pub device: &'a Device,
}

impl ModelVisitor for Encode<'_> {
    type Output = (Vec<f32>, Vec<f32>);

    fn visit<const D: usize, A: Configured<D>>(
        self,
        model: Option<Pudle<D, A>>,
        _: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output {
        let model = model.expect("a coder has a model");
        let x = Tensor::<D>::from_data(self.data, self.device);
        let (code, reconstruction) = match self.mask {
            None => model.encode_and_decode(x, self.noise),
            Some(mask) => {
                let (model, extent) = (model.valid(), x.dims());
                let mask = Tensor::<D>::from_data(mask, self.device);
                let code = model.encode_masked(x, &mask, self.noise);
                (code.clone(), model.decode(code, extent))
            }
        };
        (values(code), values(reconstruction))
    }
}

/// Data of codes.
pub(super) struct Decode<'a> {
    pub code: TensorData,
    /// Shape of the data that the codes cover, without the batch.
    pub covered: &'a [usize],
    /// Shape of the data.
    pub datum: &'a [usize],
    pub device: &'a Device,
}

impl ModelVisitor for Decode<'_> {
    type Output = Vec<f32>;

    fn visit<const D: usize, A: Configured<D>>(
        self,
        model: Option<Pudle<D, A>>,
        _: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output {
        let model = model.expect("a coder has a model");
        let code = Tensor::<D>::from_data(self.code, self.device);
        let count = code.dims()[0];
        let data = model.valid().decode(code, with_batch(count, self.covered));
        values(data.slice(with_batch::<D>(count, self.datum).map(|length| 0..length)))
    }
}

/// The same weights with other settings.
pub(super) struct With {
    pub config: PudleConfig,
}

impl ModelVisitor for With {
    type Output = Result<AnyPudle>;

    fn visit<const D: usize, A: Configured<D>>(
        self,
        model: Option<Pudle<D, A>>,
        wrap: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output {
        let model = model.expect("a coder has a model");
        Ok(wrap(model.with_config(self.config)?))
    }
}
