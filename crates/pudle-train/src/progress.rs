//! Progress of a training without a dashboard: as lines of text, or as a number for the caller.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};

/// Prints a line to stderr. If the terminal is closed or the disk behind it is full, the line is lost and the training goes
/// on.
macro_rules! note {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr().lock(), $($argument)*);
    }};
}

/// Time between two lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Prints a line to stderr every few seconds, with step, mean figures since the last line, speed and remaining time.
pub(crate) struct PlainLines {
    total: u64,
    step: u64,
    valid: bool,
    names: HashMap<MetricId, String>,
    /// Name, sum and count of each figure since the last line.
    sums: Vec<(String, f64, usize)>,
    started: Instant,
    first_step: u64,
    printed: Instant,
}

impl PlainLines {
    /// The progress of a run that continues after step `done`.
    pub fn new(done: u64, total: u64) -> Self {
        Self {
            total,
            step: done,
            valid: false,
            names: HashMap::new(),
            sums: Vec::new(),
            started: Instant::now(),
            first_step: done,
            printed: Instant::now(),
        }
    }

    fn add(&mut self, state: MetricState) {
        let MetricState::Numeric(entry, Some(value)) = state else { return };
        let Some(name) = self.names.get(&entry.metric_id) else { return };
        let value = value.current();
        match self.sums.iter_mut().find(|(known, ..)| known == name) {
            Some((_, sum, count)) => {
                *sum += value;
                *count += 1;
            }
            None => self.sums.push((name.clone(), value, 1)),
        }
    }

    fn print(&mut self) {
        let figures: Vec<String> = self
            .sums
            .drain(..)
            .map(|(name, sum, count)| (name, sum / count as f64))
            .filter(|(_, mean)| mean.is_finite())
            .map(|(name, mean)| format!("{} {mean:.4}", name.to_lowercase()))
            .collect();
        if figures.is_empty() {
            return;
        }
        let figures = figures.join("  ");
        if self.valid {
            note!("valid {}/{}  {figures}", self.step, self.total);
            return;
        }
        let elapsed = self.started.elapsed().as_secs_f64();
        let speed = (self.step - self.first_step) as f64 / elapsed.max(1e-9);
        let left = ((self.total - self.step) as f64 / speed.max(1e-9)).round() as u64;
        note!(
            "step {}/{}  {figures}  {speed:.1} steps/s  {}:{:02}:{:02} left",
            self.step,
            self.total,
            left / 3600,
            left / 60 % 60,
            left % 60,
        );
        self.printed = Instant::now();
    }
}

impl TrainingProgressLogger for PlainLines {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {
        self.started = Instant::now();
        self.printed = self.started;
    }

    fn start_split(&mut self, split: &str, _total_items: usize) {
        self.valid = split != "train";
    }

    fn update_split(&mut self, _items_processed: usize) {
        if self.valid {
            return;
        }
        self.step += 1;
        if self.printed.elapsed() >= INTERVAL {
            self.print();
        }
    }

    fn end_split(&mut self) {
        self.print();
    }

    fn update_epoch(&mut self, _epoch: usize) {}

    fn end(&mut self) {}

    // Burn sends each metric update here as text. The printed lines already have these figures.
    fn log_event_training(&mut self, _event: String) {}
}

impl MetricsRendererTraining for PlainLines {
    fn update_train(&mut self, state: MetricState) {
        self.add(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.add(state);
    }
}

impl MetricsRenderer for PlainLines {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name.to_string());
    }
}

/// Counts complete training steps for the caller.
pub(crate) struct Steps {
    done: Arc<AtomicU64>,
    valid: bool,
}

impl Steps {
    /// Adds 1 to `done` after every step.
    pub fn new(done: Arc<AtomicU64>) -> Self {
        Self { done, valid: false }
    }
}

impl TrainingProgressLogger for Steps {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}

    fn start_split(&mut self, split: &str, _total_items: usize) {
        self.valid = split != "train";
    }

    fn update_split(&mut self, _items_processed: usize) {
        if !self.valid {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn end_split(&mut self) {}
    fn update_epoch(&mut self, _epoch: usize) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _event: String) {}
}

impl MetricsRendererTraining for Steps {
    fn update_train(&mut self, _state: MetricState) {}
    fn update_valid(&mut self, _state: MetricState) {}
}

impl MetricsRenderer for Steps {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _definition: MetricDefinition) {}
}

// Burn's renderer traits include evaluation. A training does not call these functions.
macro_rules! no_evaluation {
    ($renderer:ty) => {
        impl MetricsRendererEvaluation for $renderer {
            fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
        }

        impl EvaluationProgressLogger for $renderer {
            fn start_global_progress(&mut self, _total_tests: usize) {}
            fn start_test(&mut self, _name: &str, _total_items: usize) {}
            fn update_test_progress(&mut self, _items_processed: usize) {}
            fn end_test(&mut self) {}
            fn end_global_progress(&mut self) {}
            fn log_event_evaluation(&mut self, _event: String) {}
        }
    };
}

no_evaluation!(PlainLines);
no_evaluation!(Steps);
