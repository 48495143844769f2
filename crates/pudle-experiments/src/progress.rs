//! The progress of an experiment.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines if there is no terminal.
const INTERVAL: Duration = Duration::from_secs(15);

/// A bar with an estimate of the time left; plain lines on stderr if there is no terminal.
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    printed: std::cell::Cell<Instant>,
    started: Instant,
    /// Work of parts that are finished.
    done: std::cell::Cell<u64>,
}

impl Progress {
    pub(crate) fn new(work: u64) -> Self {
        let bar = ProgressBar::new(work.max(1));
        let style = ProgressStyle::with_template(
            "{spinner} {msg:32} {wide_bar} {percent:>3} %  {elapsed} gone, {eta} left",
        );
        bar.set_style(style.expect("a valid template"));
        let now = Instant::now();
        Self {
            bar,
            terminal: std::io::stderr().is_terminal(),
            printed: std::cell::Cell::new(now),
            started: now,
            done: std::cell::Cell::new(0),
        }
    }

    /// Shows nothing.
    pub fn none() -> Self {
        let progress = Self::new(1);
        progress.bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        Self { terminal: true, ..progress }
    }

    pub(crate) fn start(&self, part: &str) {
        self.bar.set_message(part.to_owned());
        self.say(part);
    }

    /// More work of the present part is done.
    pub fn add(&self, work: u64) {
        self.bar.inc(work);
        if self.printed.get().elapsed() >= INTERVAL {
            self.say(&self.bar.message());
        }
    }

    pub(crate) fn finish(&self, part: &str, work: u64) {
        self.done.set(self.done.get() + work);
        self.bar.set_position(self.done.get());
        self.say(&format!("{part} done"));
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, what: &str) {
        self.printed.set(Instant::now());
        if self.terminal {
            return;
        }
        let share = self.bar.position() as f64 / self.bar.length().unwrap_or(1) as f64;
        let left =
            self.started.elapsed().mul_f64(((1.0 - share) / share.max(1e-9)).clamp(0.0, 1e7));
        let left = match share > 0.01 {
            true => format!(", about {} min left", left.as_secs().div_ceil(60)),
            false => String::new(),
        };
        // If the terminal is closed, the line is lost and the experiment goes on.
        let line = format!("{:3.0} %{left}  {what}\n", share * 100.0);
        let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), line.as_bytes());
    }
}
