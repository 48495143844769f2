//! The noise level of data, as an argument of encoding.

/// Standard deviation of the noise in a batch of data.
///
/// The unit is that of the threshold schedule's `sigma` ([`Learned`](crate::Learned)); for pictures it is the scale
/// 0 … 255. The level matters to schedules that depend on the noise; all others ignore it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Noise {
    /// The level is unknown. Schedules that depend on the noise use the thresholds of their `sigma`.
    #[default]
    Unknown,
    /// One level for all data of the batch, ≥ 0.
    Same(f64),
    /// One level for each datum of the batch, ≥ 0.
    PerDatum(Vec<f64>),
}

impl Noise {
    /// The levels as a list: one for all data, or one for each; `None` if the level is unknown.
    pub fn levels(&self) -> Option<&[f64]> {
        match self {
            Noise::Unknown => None,
            Noise::Same(level) => Some(std::slice::from_ref(level)),
            Noise::PerDatum(levels) => Some(levels),
        }
    }

    /// The noise of a batch that holds the same data `count` times, one copy after the other.
    pub fn repeat(&self, count: usize) -> Self {
        match self {
            Noise::PerDatum(levels) => Noise::PerDatum(levels.repeat(count)),
            same => same.clone(),
        }
    }
}
