//! Batches, their sources, and making them ahead of time.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::error::{DataError, Result};

/// The data of one step: input and target of the same shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Shape of both, with the batch first. Pictures are `[batch, channels, height, width]`, signals
    /// `[batch, channels, length]`, vectors `[batch, length]`.
    pub shape: Vec<usize>,
    /// Input of the model, row-major.
    pub input: Vec<f32>,
    /// Target of the model's output, row-major.
    pub target: Vec<f32>,
    /// Standard deviation of the noise of each datum, on the 0 to 255 scale; empty if it is not known.
    pub noise: Vec<f32>,
    /// Where codes may be other than zero; `None` if anywhere.
    pub support: Option<Support>,
}

/// Where codes of a batch may be other than zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Support {
    /// Shape of the codes, with the batch first: `[batch, atoms, positions]`.
    pub shape: Vec<usize>,
    /// 1 where a code may be other than zero, and 0 elsewhere, row-major.
    pub values: Vec<f32>,
}

/// Where batches come from.
///
/// The batch of step `k` is a function of the source's settings, its seed and `k` alone (and of the content of
/// files). A resumed run therefore sees the same batches as an uninterrupted one,
/// and batches can be made in any order and on any thread.
pub trait Source: Send + Sync + 'static {
    /// The batch of step `step`.
    ///
    /// # Errors
    /// Returns an error if data cannot be read.
    fn batch(&self, step: u64) -> Result<Batch>;

    /// A description of the source in one line, for logs.
    fn describe(&self) -> String;
}

/// Makes the batches of a source ahead of their use, on a thread of its own.
///
/// At most `ahead` batches wait while one more is being made. Dropping the iterator
/// stops the thread after the batch that it is making, and waits for it. The iteration ends after
/// the first error. A panic of the source is returned as [`DataError::Source`].
pub struct Prefetch {
    /// `None` while the iterator is dropped, and if no thread could be started.
    batches: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
    not_started: Option<DataError>,
}

impl Prefetch {
    /// Starts making the batches of `steps`, in this order.
    pub fn new(source: Arc<dyn Source>, steps: Range<u64>, ahead: usize) -> Self {
        let first = steps.start;
        let (sender, receiver) = sync_channel(ahead);
        let spawned = std::thread::Builder::new()
            .name("pudle-data".into())
            .spawn(move || produce(&*source, steps, &sender));
        match spawned {
            Ok(thread) => Self { batches: Some(receiver), thread: Some(thread), not_started: None },
            Err(e) => {
                let reason = format!("no thread could be started: {e}");
                let error = DataError::Source { step: first, reason };
                Self { batches: None, thread: None, not_started: Some(error) }
            }
        }
    }
}

fn produce(source: &dyn Source, steps: Range<u64>, sender: &SyncSender<Result<Batch>>) {
    for step in steps {
        // A source is only read, and this thread does not use it after a panic, so that nobody sees
        // a half-finished change.
        let made = catch_unwind(AssertUnwindSafe(|| source.batch(step)))
            .unwrap_or_else(|panic| Err(DataError::Source { step, reason: message(&*panic) }));
        let last = made.is_err();
        // Sending fails once the receiver is dropped: nobody needs the other batches.
        if sender.send(made).is_err() || last {
            return;
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
}

impl Iterator for Prefetch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.not_started.take() {
            return Some(Err(error));
        }
        self.batches.as_ref()?.recv().ok()
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // The receiver is dropped first, or a thread that waits to send would wait for ever.
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // Panics of the source were caught and returned as errors before.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// Counts what it made; misbehaves at a given step.
    #[derive(Default)]
    struct Counter {
        made: AtomicUsize,
        panic_at: Option<u64>,
        fail_at: Option<u64>,
    }

    impl Source for Counter {
        fn batch(&self, step: u64) -> Result<Batch> {
            assert!(self.panic_at != Some(step), "broken at {step}");
            if self.fail_at == Some(step) {
                return Err(DataError::range("step", step, "another"));
            }
            self.made.fetch_add(1, Ordering::SeqCst);
            Ok(Batch {
                shape: vec![1],
                input: vec![step as f32],
                target: vec![0.0],
                noise: vec![],
                support: None,
            })
        }

        fn describe(&self) -> String {
            "counter".into()
        }
    }

    #[test]
    fn batches_come_in_order_and_end() {
        for ahead in [0, 1, 7, 100] {
            let steps: Vec<f32> = Prefetch::new(Arc::new(Counter::default()), 5..25, ahead)
                .map(|b| b.unwrap().input[0])
                .collect();
            assert_eq!(steps, (5..25).map(|k| k as f32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn never_runs_further_ahead_than_asked_and_stops_when_dropped() {
        let counter = Arc::new(Counter::default());
        let mut batches = Prefetch::new(counter.clone(), 0..u64::MAX, 3);
        batches.next().unwrap().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let made = counter.made.load(Ordering::SeqCst);
        assert!((1..=1 + 3 + 1).contains(&made), "{made} batches made");
        drop(batches);
        assert_eq!(Arc::strong_count(&counter), 1, "the thread has let go of the source");
    }

    #[test]
    fn errors_and_panics_are_handed_out_and_end_the_run() {
        let source = Counter { fail_at: Some(2), ..Counter::default() };
        let made: Vec<_> = Prefetch::new(Arc::new(source), 0..9, 2).collect();
        assert_eq!(made.len(), 3);
        assert!(matches!(made[2], Err(DataError::Range(_))));

        let source = Counter { panic_at: Some(4), ..Counter::default() };
        let made: Vec<_> = Prefetch::new(Arc::new(source), 0..9, 2).collect();
        assert_eq!(made.len(), 5);
        let error = made[4].as_ref().unwrap_err();
        assert!(error.to_string().contains("broken at 4"), "{error}");
    }
}
