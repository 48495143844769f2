//! `⟨D z, x⟩ = ⟨z, Dᵀ x⟩`, shapes, norms and projection of every dictionary.

use crate::common::{conv1d, conv2d, dense, model, normal, relative_error, scalar, tensor, values};
use burn::tensor::{Device, Tensor};
use pudle_core::{
    Configured, ConvDictionary1d, ConvDictionary2d, DenseDictionary, Dictionary, DictionaryConfig,
    PudleConfig,
};

fn assert_adjoint<const D: usize, A: Configured<D>>(
    config: DictionaryConfig,
    extent: [usize; D],
    seed: u64,
) {
    let device = Device::flex();
    let model = model::<D, A>(&PudleConfig::new(config), seed, &device);
    let dictionary = model.dictionary();
    let shape = dictionary.code_shape(extent).expect("the data fit the atoms");
    let x: Tensor<D> = tensor(normal(&extent, seed + 1), &device);
    let z: Tensor<D> = tensor(normal(&shape, seed + 2), &device);
    let synthesis = dictionary.synthesize(z.clone(), extent);
    let analysis = dictionary.analyze(x.clone());
    assert_eq!(synthesis.dims(), extent);
    assert_eq!(analysis.dims(), shape);
    let (left, right) = (scalar((synthesis * x).sum()), scalar((z * analysis).sum()));
    assert!((left - right).abs() <= 1e-11 * left.abs().max(1.0), "{left} {right} at {extent:?}");
}

#[test]
fn dense_synthesis_and_analysis_are_adjoint() {
    for (m, p) in [(1, 1), (5, 9), (12, 7)] {
        assert_adjoint::<2, DenseDictionary>(dense(m, p), [3, m], 1);
    }
}

#[test]
fn conv1d_synthesis_and_analysis_are_adjoint() {
    for stride in 1..=8 {
        for channels in [1, 3] {
            for length in [8, 29, 30] {
                let config = conv1d(5, channels, 8, stride);
                assert_adjoint::<3, ConvDictionary1d>(config, [2, channels, length], 7);
            }
        }
    }
}

#[test]
fn conv2d_synthesis_and_analysis_are_adjoint() {
    for stride in 1..=8 {
        for channels in [1, 3] {
            for (size, height, width) in [(8, 19, 22), (9, 21, 18), (9, 9, 24)] {
                let config = conv2d(4, channels, size, stride);
                assert_adjoint::<4, ConvDictionary2d>(config, [2, channels, height, width], 3);
            }
        }
    }
}

#[test]
fn data_that_do_not_fit_have_no_code() {
    let device = Device::flex();
    let image = model::<4, ConvDictionary2d>(&PudleConfig::new(conv2d(4, 3, 5, 2)), 0, &device);
    assert_eq!(image.dictionary().code_shape([1, 3, 5, 6]), Some([1, 4, 1, 1]));
    assert_eq!(image.dictionary().code_shape([1, 3, 4, 9]), None);
    assert_eq!(image.dictionary().code_shape([1, 1, 9, 9]), None);
    assert_eq!(image.dictionary().covering([1, 3, 1, 6]), [1, 3, 5, 7]);
    assert_eq!(image.dictionary().covering([1, 3, 7, 8]), [1, 3, 7, 9]);
    let vector = model::<2, DenseDictionary>(&PudleConfig::new(dense(4, 6)), 0, &device);
    assert_eq!(vector.dictionary().code_shape([2, 5]), None);
}

#[test]
fn projection_gives_unit_atoms_and_leaves_a_dead_one() {
    let device = Device::flex();
    let mut atoms: Vec<f64> = normal(&[3, 1, 2, 2], 5).try_to_vec().unwrap();
    atoms[4..8].fill(0.0);
    let atoms = burn::tensor::TensorData::new(atoms, [3, 1, 2, 2]);
    let dictionary = ConvDictionary2d::new(tensor(atoms, &device), 1).project();
    let norms: Vec<f64> = values(dictionary.atoms())
        .chunks(4)
        .map(|atom| atom.iter().map(|value| value * value).sum::<f64>().sqrt())
        .collect();
    assert!(relative_error(&norms, &[1.0, 0.0, 1.0]) < 1e-14);
}

#[test]
fn squared_norm_is_the_largest_eigenvalue() {
    let device = Device::flex();
    // Columns e1, e1, e2: DᵀD has eigenvalues 2, 1, 0.
    let atoms = burn::tensor::TensorData::new(vec![1.0f64, 1.0, 0.0, 0.0, 0.0, 1.0], [2, 3]);
    let dictionary = DenseDictionary::new(tensor(atoms, &device));
    let norm = dictionary.squared_norm([7, 2]);
    assert!((norm - 2.0).abs() < 1e-3 && norm <= 2.0 + 1e-12, "{norm}");
    // A random matrix against the Rayleigh quotient of many more plain iterations.
    let random = DenseDictionary::new(tensor(normal(&[30, 60], 9), &device));
    let atoms = values(random.atoms());
    let mut v = vec![1.0; 60];
    let mut exact = 0.0;
    for _ in 0..3000 {
        let dv: Vec<f64> =
            (0..30).map(|i| (0..60).map(|j| atoms[i * 60 + j] * v[j]).sum()).collect();
        let size: f64 = v.iter().map(|v| v * v).sum();
        exact = dv.iter().map(|v| v * v).sum::<f64>() / size;
        v = (0..60)
            .map(|j| (0..30).map(|i| atoms[i * 60 + j] * dv[i]).sum::<f64>() / size)
            .collect();
    }
    let norm = random.squared_norm([1, 30]);
    assert!(norm <= exact * (1.0 + 1e-12) && norm > 0.998 * exact, "{norm} {exact}");
    // One filter of one pixel with stride 1 is the identity times its weight.
    let filter = burn::tensor::TensorData::new(vec![-3.0f64], [1, 1, 1, 1]);
    let filter = ConvDictionary2d::new(tensor(filter, &device), 1);
    assert!((filter.squared_norm([1, 1, 6, 5]) - 9.0).abs() < 1e-9);
}
