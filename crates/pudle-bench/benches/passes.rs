//! The fused pass beside its composed form, on the same inputs.

use std::time::Duration;

use burn::tensor::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pudle_bench::{Case, Size, Workload};
use pudle_core::{
    Configured, ConvDictionary2d, DenseDictionary, GradientEstimator, Kernels, Pudle,
};

const BOTH: [Kernels; 2] = [Kernels::Fused, Kernels::Composed];
const ESTIMATORS: [GradientEstimator; 3] =
    [GradientEstimator::DEC, GradientEstimator::AE_LASSO, GradientEstimator::AE_LS];

fn workload(case: Case, size: Size) -> Workload {
    Workload::new(case, size, None, 0).expect("sizes in their ranges")
}

fn model<const D: usize, A: Configured<D>>(
    workload: &Workload,
    kernels: Kernels,
    gradient: GradientEstimator,
    device: &Device,
) -> (Pudle<D, A>, Tensor<D>) {
    let mut workload = workload.clone();
    workload.config = workload.config.with_kernels(kernels).with_gradient(gradient);
    let model = workload.model(device);
    let x = Tensor::from_data(workload.inputs.x.clone(), device);
    (model.expect("a valid workload"), x)
}

fn passes<const D: usize, A: Configured<D>>(criterion: &mut Criterion, workload: &Workload) {
    let name = format!("{} {}", workload.case, workload.batch);
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    for kernels in BOTH {
        let (model, x) = model::<D, A>(workload, kernels, GradientEstimator::DEC, &Device::flex());
        group.bench_function(BenchmarkId::new("forward", kernels), |bencher| {
            bencher.iter(|| model.reconstruct(x.clone(), &workload.inputs.noise));
        });
        for gradient in ESTIMATORS {
            let device = Device::flex().autodiff();
            let (model, x) = self::model::<D, A>(workload, kernels, gradient, &device);
            group.bench_function(BenchmarkId::new(gradient.to_string(), kernels), |bencher| {
                let noise = &workload.inputs.noise;
                bencher.iter(|| model.objective(x.clone(), x.clone(), noise).loss.backward());
            });
        }
    }
}

fn conv(criterion: &mut Criterion) {
    for batch in [1, 8] {
        let size = Size { batch: Some(batch), ..Size::default() };
        passes::<4, ConvDictionary2d>(criterion, &workload(Case::Conv, size));
    }
}

fn dense(criterion: &mut Criterion) {
    passes::<2, DenseDictionary>(criterion, &workload(Case::Dense, Size::default()));
}

fn image(criterion: &mut Criterion) {
    let workload = workload(Case::Image, Size::default());
    let mut group = criterion.benchmark_group("image");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    for kernels in BOTH {
        let (model, x) = model::<4, ConvDictionary2d>(
            &workload,
            kernels,
            GradientEstimator::DEC,
            &Device::flex(),
        );
        for shifts in [1, 16] {
            let id = BenchmarkId::new(format!("{shifts} shifts"), kernels);
            group.bench_function(id, |bencher| {
                bencher
                    .iter(|| model.reconstruct_shifted(x.clone(), &workload.inputs.noise, shifts));
            });
        }
    }
}

criterion_group!(benches, conv, dense, image);
criterion_main!(benches);
