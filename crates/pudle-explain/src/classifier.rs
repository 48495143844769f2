//! A linear classifier on codes: how well codes predict classes.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::codes::SparseCodes;

const STEPS: usize = 400;
const LEARNING_RATE: f64 = 0.02;

/// The share of data that the classifier predicts correctly, between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Over the data that it was trained on.
    pub trained: f64,
    /// Over the data that were held out.
    pub held_out: f64,
}

/// Codes and the class of each of them.
#[derive(Clone, Copy, Debug)]
pub struct LabelledCodes<'a> {
    /// The codes.
    pub codes: &'a SparseCodes,
    /// The classes, in the same order.
    pub labels: &'a [u8],
}

/// Multinomial logistic regression on codes scaled to unit mean square, by Adam on all of them at once. Weights start at
/// zero, so the result depends only on the codes.
pub fn classify(
    training: LabelledCodes<'_>,
    held_out: LabelledCodes<'_>,
    device: &Device,
) -> Accuracy {
    let LabelledCodes { codes, labels } = training;
    let classes = labels.iter().chain(held_out.labels).max().map_or(1, |c| usize::from(*c) + 1);
    let entries = (codes.len() * codes.atoms()).max(1) as f64;
    let square: f64 =
        codes.rows().flat_map(|row| row.values).map(|v| f64::from(*v).powi(2)).sum::<f64>();
    // Sparse codes are mostly zero, so the scale is taken over rows, not over single entries.
    let scale = ((codes.atoms() as f64 / entries * square).sqrt()).max(f64::MIN_POSITIVE).recip();
    let device = device.clone().autodiff();
    let dense = |codes: &SparseCodes| {
        let mut values = vec![0.0f32; codes.len() * codes.atoms()];
        for (row, code) in values.chunks_exact_mut(codes.atoms()).zip(codes.rows()) {
            code.iter().for_each(|(atom, value)| row[atom] = value * scale as f32);
        }
        Tensor::<2>::from_data(TensorData::new(values, [codes.len(), codes.atoms()]), &device)
    };
    let (x, y) = (dense(codes), targets(labels, &device));
    let mut model: Linear = LinearConfig::new(codes.atoms(), classes)
        .with_initializer(burn::nn::Initializer::Zeros)
        .init(&device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..STEPS {
        let objective = loss.forward(model.forward(x.clone()), y.clone());
        let grads = GradientsParams::from_grads(objective.backward(), &model);
        model = optimizer.step(LEARNING_RATE, model, grads);
    }
    let share = |x: Tensor<2>, labels: &[u8]| {
        let found = model.forward(x).argmax(1).into_data();
        let right = found.iter::<i64>().zip(labels).filter(|(a, b)| *a == i64::from(**b)).count();
        right as f64 / labels.len().max(1) as f64
    };
    Accuracy { trained: share(x, labels), held_out: share(dense(held_out.codes), held_out.labels) }
}

fn targets(labels: &[u8], device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = labels.iter().map(|label| i64::from(*label)).collect();
    let count = labels.len();
    Tensor::from_data(TensorData::new(labels, [count]), device)
}
