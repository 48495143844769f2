//! Measurement of time and memory of a workload.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use pudle_core::{
    Backend, Configured, ConvDictionary1d, ConvDictionary2d, DenseDictionary, GradientEstimator,
    Kernels, Pudle, count_launches,
};
use serde::Serialize;

use crate::device::{DeviceWork, device_peak_mib};
use crate::memory::{forget_peak, peak_mib, resident_mib};
use crate::workload::{Case, Workload, WorkloadError};

/// Results of a workload, with names.
pub type Results = Vec<(&'static str, TensorData)>;

/// Time and memory of a workload.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The workload.
    pub case: Case,
    /// Gradient estimator of the training step. `None` for the case `image`, which has no training step.
    pub gradient: Option<String>,
    /// Batch size.
    pub batch: usize,
    /// Layers `T`.
    pub layers: usize,
    /// Backend.
    pub backend: Backend,
    /// Selected implementation of the unrolled network.
    pub kernels: Kernels,
    /// Threads of the CPU's pool.
    pub threads: usize,
    /// Number of averaged shifts.
    pub shifts: usize,
    /// Share of the code's entries that are not zero.
    pub active: f64,
    /// Median time of encoder and decoder without a graph, in milliseconds.
    pub forward_ms: f64,
    /// Median time of encoder, decoder, loss and backward pass, in milliseconds.
    pub step_ms: Option<f64>,
    /// Peak increase of the resident memory in a training step, or in a forward pass for the case `image`, in MiB. `None`
    /// if the system does not report it.
    pub peak_mib: Option<f64>,
    /// Work and memory of the device; `None` on the CPU.
    pub device: Option<DeviceWork>,
}

/// Runs a workload once to warm up and then `repetitions` times. Returns time and memory, and the results
/// `reconstruction` and, for a training step, `code` and `gradient`.
///
/// # Errors
/// Returns an error if the backend is not compiled in, finds no device, or does not support the workload.
pub fn measure(
    workload: &Workload,
    gradient: GradientEstimator,
    backend: Backend,
    repetitions: usize,
) -> Result<(Measurement, Results), WorkloadError> {
    let mut workload = workload.clone();
    workload.config.gradient = gradient;
    workload.config.validate()?;
    match workload.case {
        Case::Dense => run::<2, DenseDictionary>(&workload, backend, repetitions, |m, x| {
            m.reconstruct(x, &workload.inputs.noise)
        }),
        Case::Signal => run::<3, ConvDictionary1d>(&workload, backend, repetitions, |m, x| {
            m.reconstruct(x, &workload.inputs.noise)
        }),
        Case::Conv | Case::Image => {
            let shifts = workload.shifts;
            run::<4, ConvDictionary2d>(&workload, backend, repetitions, |m, x| {
                m.reconstruct_shifted(x, &workload.inputs.noise, shifts)
            })
        }
    }
}

fn run<const D: usize, A: Configured<D>>(
    workload: &Workload,
    backend: Backend,
    repetitions: usize,
    forward: impl Fn(&Pudle<D, A>, Tensor<D>) -> Tensor<D>,
) -> Result<(Measurement, Results), WorkloadError> {
    let device = &backend.device()?;
    let sync = || device.sync().expect("the device answers");
    let mut results = Results::new();
    let model = workload.model::<D, A>(device)?;
    let noise = &workload.inputs.noise;
    let x = Tensor::<D>::from_data(workload.inputs.x.clone(), device);
    let forward = || {
        let estimate = forward(&model, x.clone());
        sync();
        estimate
    };
    let steps = workload.case != Case::Image;
    let (mut step_launches, mut longer_launches) = (BTreeMap::new(), BTreeMap::new());
    let before = forget_peak().then(resident_mib).flatten();
    let (step_ms, peak_mib) = if steps {
        let device = device.clone().autodiff();
        let model = workload.model::<D, A>(&device)?;
        let x = x.clone().autodiff();
        let step = || {
            let objective = model.objective(x.clone(), x.clone(), noise);
            let grads = objective.loss.backward();
            let gradient = model.dictionary().atoms().grad(&grads);
            sync();
            (objective.code.inner(), gradient)
        };
        let (code, gradient) = step();
        let peak = peak_since(before);
        step_launches = count_launches(step).1;
        if !step_launches.is_empty() {
            let longer = workload.longer().model::<D, A>(&device)?;
            let step = || longer.objective(x.clone(), x.clone(), noise).loss.backward();
            longer_launches = count_launches(step).1;
        }
        results.push(("code", code.into_data()));
        results.extend(gradient.map(|gradient| ("gradient", gradient.into_data())));
        (Some(median(repetitions, step)), peak)
    } else {
        forward();
        (None, peak_since(before))
    };
    let device_peak_mib = device_peak_mib(device);
    results.push(("reconstruction", forward().into_data()));
    let forward_launches = count_launches(forward).1;
    let forward_ms = median(repetitions, forward);
    let code = match workload.case {
        Case::Image => {
            let covered = Tensor::<D>::from_data(workload.inputs.x.clone(), device);
            model.encode(covered, noise).into_data()
        }
        _ => results[0].1.clone(),
    };
    let entries = code.num_elements();
    let active = code.iter::<f32>().filter(|z| *z != 0.0).count() as f64 / entries as f64;
    let measurement = Measurement {
        case: workload.case,
        gradient: steps.then(|| workload.config.gradient.to_string()),
        batch: workload.batch,
        layers: workload.config.layers,
        backend,
        kernels: workload.config.kernels,
        threads: rayon::current_num_threads(),
        shifts: workload.shifts,
        active,
        forward_ms,
        step_ms,
        peak_mib,
        device: DeviceWork::new(
            [forward_launches, step_launches, longer_launches],
            device_peak_mib,
        ),
    };
    Ok((measurement, results))
}

fn peak_since(before: Option<f64>) -> Option<f64> {
    Some((peak_mib()? - before?).max(0.0))
}

/// The median time of `work` in milliseconds.
fn median<R>(repetitions: usize, work: impl Fn() -> R) -> f64 {
    let mut times: Vec<f64> = (0..repetitions.max(1))
        .map(|_| {
            let start = Instant::now();
            let result = work();
            let time = start.elapsed().as_secs_f64() * 1e3;
            drop(result);
            time
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
