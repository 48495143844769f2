//! The pass as an operation of Burn against the functions on slices.

use crate::common::{Draw, cast};
use burn::tensor::{DType, Device, Element, Tensor, TensorData};
use pudle_kernels::{
    Banks, Encoder, Extrapolation, Geometry, Network, Problem, Real, ShiftWindows, Shrinkage,
    Tying, Unrolling, Wanted, conv_forward, conv_shifts, dense_forward, supports,
};

const GEOMETRY: Geometry =
    Geometry { channels: 2, height: 13, width: 11, atoms: 7, kernel: [4, 4], stride: [2, 2] };
const BATCH: usize = 3;

fn unrolling(layers: usize) -> Unrolling {
    Unrolling { extrapolation: Extrapolation::Fista, ..Unrolling::ista(layers, Shrinkage::Soft) }
}

fn tensor<T: Real + Element, const D: usize>(
    device: &Device,
    numbers: &[T],
    shape: [usize; D],
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), (device, T::dtype()))
}

fn numbers<T: Element, const D: usize>(tensor: Tensor<D>) -> Vec<T> {
    tensor.into_data().try_into_vec().unwrap()
}

/// A convolutional network with random numbers, as slices.
struct Case<T> {
    x: Vec<T>,
    banks: Banks<Vec<T>>,
    step: T,
    levels: Vec<T>,
}

const BANK: [usize; 4] = [7, 2, 4, 4];
const LEVELS: [usize; 3] = [1, BATCH, 7];

impl<T: Real + Element> Case<T> {
    fn draw(seed: u64, tying: Tying) -> Self {
        let mut draw = Draw::new(seed);
        Self {
            x: draw.numbers(BATCH * GEOMETRY.pixels(), -1.0, 1.0),
            banks: tying.banks((), (), ()).map(|()| draw.numbers(BANK.iter().product(), -0.3, 0.3)),
            step: T::from_f64(0.2),
            levels: draw.numbers(LEVELS.iter().product(), 0.0, 0.05),
        }
    }

    fn x(&self, device: &Device) -> Tensor<4> {
        tensor(device, &self.x, [BATCH, 2, 13, 11])
    }

    fn network(&self, device: &Device) -> Network<4> {
        Network {
            problem: Problem::Conv(GEOMETRY),
            unrolling: unrolling(4),
            banks: self.banks.as_ref().map(|bank| tensor(device, bank, BANK)),
            step: tensor(device, &[self.step], [1]),
            levels: tensor(device, &self.levels, LEVELS),
        }
    }

    fn encoder(&self) -> Encoder<'_, T> {
        Encoder {
            banks: self.banks.as_ref().map(Vec::as_slice),
            step: self.step,
            levels: &self.levels,
            level_shape: LEVELS,
        }
    }
}

fn code_shape() -> [usize; 4] {
    let [h, w] = GEOMETRY.positions();
    [BATCH, 7, h, w]
}

fn passes_are_those_of_slices<T: Real + Element>(tying: Tying) {
    let case = Case::<T>::draw(1, tying);
    let device = Device::flex().autodiff();
    let mut network = case.network(&device);
    network.banks = network.banks.map(Tensor::require_grad);
    network.step = network.step.require_grad();
    network.levels = network.levels.require_grad();
    let x = case.x(&device).require_grad();
    let (code, image) = network.run(x.clone(), code_shape()).unwrap();
    let (output, tape) = conv_forward(GEOMETRY, &case.x, case.encoder(), unrolling(4), true);
    assert_eq!(numbers::<T, 4>(code.clone()), output.code());
    assert_eq!(numbers::<T, 4>(image.clone()), output.reconstruction());

    let mut draw = Draw::new(2);
    let of_code: Vec<T> = draw.numbers(output.codes, -1.0, 1.0);
    let of_image: Vec<T> = draw.numbers(case.x.len(), -1.0, 1.0);
    let loss = (code * tensor(&device, &of_code, code_shape())).sum()
        + (image * tensor(&device, &of_image, [BATCH, 2, 13, 11])).sum();
    let grads = loss.backward();
    let wanted = Wanted { data: true, encoder: true };
    let gradients = tape.unwrap().backward(&of_image, Some(&of_code), wanted);
    let of = |bank: &Tensor<4>| numbers::<T, 4>(bank.grad(&grads).unwrap());
    assert_eq!(network.banks.as_ref().map(of), gradients.banks);
    assert_eq!(numbers::<T, 4>(x.grad(&grads).unwrap()), gradients.data.unwrap());
    let levels = network.levels.grad(&grads).unwrap();
    assert_eq!(levels.dims(), LEVELS);
    assert_eq!(numbers::<T, 3>(levels), gradients.levels.unwrap());
    let step = network.step.grad(&grads).unwrap();
    assert_eq!(numbers::<T, 1>(step), [gradients.step.unwrap()]);
}

#[test]
fn passes_and_gradients_are_those_of_slices() {
    for tying in [Tying::Tied, Tying::Decoder, Tying::Untied] {
        passes_are_those_of_slices::<f32>(tying);
        passes_are_those_of_slices::<f64>(tying);
    }
}

/// A network with an analysis bank and a tied decoder.
#[test]
fn a_decoder_can_be_tied_alone() {
    let case = Case::<f64>::draw(3, Tying::Untied);
    let device = Device::flex().autodiff();
    let gradients = |tied: bool| {
        let mut network = case.network(&device);
        let synthesis = network.banks.synthesis.require_grad();
        network.banks.decoder = (!tied).then(|| synthesis.clone());
        network.banks.synthesis = synthesis.clone();
        let (code, image) = network.run(case.x(&device), code_shape()).unwrap();
        let grads = (image.square().sum() + code.sum()).backward();
        numbers::<f64, 4>(synthesis.grad(&grads).unwrap())
    };
    assert_eq!(gradients(true), gradients(false));
}

#[test]
fn inputs_without_a_gradient_get_none() {
    let case = Case::<f32>::draw(4, Tying::Decoder);
    let device = Device::flex().autodiff();
    let mut network = case.network(&device);
    let decoder = network.banks.decoder.take().unwrap().require_grad();
    network.banks.decoder = Some(decoder.clone());
    let (_, image) = network.run(case.x(&device), code_shape()).unwrap();
    let grads = image.square().sum().backward();
    assert!(decoder.grad(&grads).is_some());
    assert!(network.banks.synthesis.grad(&grads).is_none());
    assert!(network.step.grad(&grads).is_none() && network.levels.grad(&grads).is_none());
}

#[test]
fn what_has_no_fused_pass_is_none() {
    let device = Device::flex();
    let case = Case::<f32>::draw(5, Tying::Tied);
    let (network, x) = (case.network(&device), case.x(&device));
    let shifts = ShiftWindows { starts: vec![[0, 0]], origin: [0, 0], size: [13, 11] };
    assert!(supports(&x) && network.run(x.clone(), code_shape()).is_some());

    let half = x.clone().cast(DType::F16);
    assert!(!supports(&half) && network.run(half.clone(), code_shape()).is_none());
    assert!(network.run_shifted(half, &shifts).is_none());
    let mut mixed = network.clone();
    mixed.levels = mixed.levels.cast(DType::F64);
    assert!(mixed.run(x.clone(), code_shape()).is_none());
    // Levels of each image.
    assert!(network.run_shifted(x.clone(), &shifts).is_none());

    let mut draw = Draw::new(6);
    let mut matrix = || tensor(&device, &draw.numbers::<f32>(6 * 9, -0.4, 0.4), [6, 9]);
    let x = Tensor::<2>::ones([BATCH, 6], &device);
    let own = [
        Banks::tied(matrix()),
        Banks { decoder: Some(matrix()), ..Banks::tied(matrix()) },
        Banks { analysis: Some(matrix()), ..Banks::tied(matrix()) },
        Banks { analysis: Some(matrix()), synthesis: matrix(), decoder: Some(matrix()) },
    ];
    for banks in own {
        let (tying, both) = (banks.tying(), banks.decoder.is_some());
        let network = Network {
            problem: Problem::Dense { dim: 6 },
            unrolling: unrolling(3),
            banks,
            step: network.step.clone(),
            levels: Tensor::zeros([1, 1, 1], &device),
        };
        let fused = network.run(x.clone(), [BATCH, 9]).is_some();
        assert_eq!(fused, tying == Tying::Tied, "{tying:?} {both}");
    }
}

#[test]
fn a_matrix_runs_as_in_slices() {
    let device = Device::flex();
    let mut draw = Draw::new(7);
    let (x, d): (Vec<f64>, Vec<f64>) =
        (draw.numbers(BATCH * 6, -1.0, 1.0), draw.numbers(6 * 9, -0.4, 0.4));
    let levels: Vec<f64> = draw.numbers(3, 0.0, 0.1);
    let network = Network {
        problem: Problem::Dense { dim: 6 },
        unrolling: unrolling(3),
        // A transposed view of a matrix.
        banks: Banks::tied(tensor(&device, &transposed(&d, 9), [9, 6]).transpose()),
        step: tensor(&device, &[0.2], [1]),
        levels: tensor(&device, &levels, [3, 1, 1]),
    };
    let (code, image) = network.run(tensor(&device, &x, [BATCH, 6]), [BATCH, 9]).unwrap();
    let encoder =
        Encoder { banks: Banks::tied(&d[..]), step: 0.2, levels: &levels, level_shape: [3, 1, 1] };
    let (output, _) = dense_forward(6, &x, encoder, unrolling(3), false);
    assert_eq!(numbers::<f64, 2>(code), output.code());
    assert_eq!(numbers::<f64, 2>(image), output.reconstruction());
}

fn transposed(matrix: &[f64], columns: usize) -> Vec<f64> {
    let rows = matrix.len() / columns;
    (0..matrix.len()).map(|k| matrix[k % rows * columns + k / rows]).collect()
}

#[test]
fn shifted_parts_are_averaged_as_in_slices() {
    let device = Device::flex().autodiff();
    for tying in [Tying::Tied, Tying::Untied] {
        let case = Case::<f32>::draw(8, tying);
        let mut network = case.network(&device);
        network.levels = tensor(&device, &cast::<f32>(&[0.03]), [1, 1, 1]);
        let mut draw = Draw::new(9);
        let extent = [15, 14];
        let x: Vec<f32> = draw.numbers(BATCH * 2 * extent[0] * extent[1], -1.0, 1.0);
        let shifts =
            ShiftWindows { starts: vec![[0, 0], [1, 2], [2, 3]], origin: [2, 3], size: [11, 8] };
        let images = tensor(&device, &x, [BATCH, 2, extent[0], extent[1]]);
        let mean = network.run_shifted(images, &shifts).unwrap();
        assert_eq!(mean.dims(), [BATCH, 2, 11, 8]);
        let encoder = Encoder { levels: &[0.03], level_shape: [1; 3], ..case.encoder() };
        let expected: Vec<f32> = x
            .chunks_exact(2 * extent[0] * extent[1])
            .flat_map(|x| conv_shifts(GEOMETRY, x, extent, &shifts, encoder, unrolling(4)))
            .collect();
        assert_eq!(numbers::<f32, 4>(mean), expected);
    }
}
