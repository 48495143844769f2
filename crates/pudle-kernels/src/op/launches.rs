//! Launches of kernels on GPUs.

use std::collections::BTreeMap;

/// Runs `work`, and counts the kernels that this process launches meanwhile, by name. On the CPU there are none.
///
/// Two counts at the same time see each other's launches.
#[cfg(not(feature = "cube"))]
pub fn count_launches<T>(work: impl FnOnce() -> T) -> (T, BTreeMap<String, usize>) {
    (work(), BTreeMap::new())
}

/// Runs `work`, and counts the kernels that this process launches meanwhile, by name. On the CPU there are none.
///
/// Two counts at the same time see each other's launches.
#[cfg(feature = "cube")]
pub fn count_launches<T>(work: impl FnOnce() -> T) -> (T, BTreeMap<String, usize>) {
    use cubecl::logging::{LaunchObservation, LaunchObserver};
    use std::sync::{Arc, Mutex, PoisonError};

    #[derive(Default)]
    struct Counter(Mutex<BTreeMap<&'static str, usize>>);

    impl LaunchObserver for Counter {
        fn launched(&self, kernel: &'static str) {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(kernel).or_default() += 1;
        }
    }

    let counter = Arc::new(Counter::default());
    let observation = LaunchObservation::new(counter.clone());
    let result = work();
    drop(observation);
    let mut counts = BTreeMap::new();
    for (kernel, count) in counter.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        *counts.entry(short(kernel)).or_default() += count;
    }
    (result, counts)
}

/// The name of a kernel's type, without its path and its parameters.
#[cfg(feature = "cube")]
fn short(kernel: &str) -> String {
    let path = kernel.split(['<', ' ']).next().unwrap_or(kernel);
    path.rsplit("::").next().unwrap_or(path).to_owned()
}
