//! The layers of a pass in the order of computation.

use std::ops::Range;

use crate::settings::{Shrinkage, Unrolling};

/// An [`Unrolling`] with the weights of its extrapolation.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub layers: usize,
    pub shrinkage: Shrinkage,
    pub recorded: usize,
    pub recompute: bool,
    /// `m_t`, one per layer.
    weights: Vec<f64>,
}

impl Schedule {
    pub fn new(unrolling: Unrolling) -> Self {
        let Unrolling { layers, shrinkage, extrapolation, recorded, recompute, half: _ } =
            unrolling;
        Self { layers, shrinkage, recorded, recompute, weights: extrapolation.weights(layers) }
    }

    /// The extrapolation weight `m_t` of layer `t`.
    pub fn weight(&self, t: usize) -> f64 {
        self.weights[t]
    }

    /// Whether any layer extrapolates.
    pub fn extrapolates(&self) -> bool {
        self.weights.iter().any(|weight| *weight != 0.0)
    }

    /// The first layer that the backward pass goes through.
    pub fn first_recorded(&self) -> usize {
        self.layers - self.recorded
    }

    /// The recorded layers, cut where the backward pass starts to compute again: one segment of all
    /// layers if they are stored, segments of about `√T` layers if they are computed again.
    pub fn segments(&self) -> Vec<Range<usize>> {
        let (first, end) = (self.first_recorded(), self.layers);
        let length = match self.recompute {
            true => (1..).find(|n| n * n >= self.recorded).unwrap_or(1),
            false => self.recorded.max(1),
        };
        (first..end).step_by(length).map(|start| start..(start + length).min(end)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Extrapolation;

    #[test]
    fn fista_extrapolates_from_layer_2_on() {
        for layers in 0..6 {
            let ista = Unrolling::ista(layers, Shrinkage::Soft);
            let fista = Unrolling { extrapolation: Extrapolation::Fista, ..ista };
            assert!(!Schedule::new(ista).extrapolates());
            assert_eq!(Schedule::new(fista).extrapolates(), layers > 2);
            for t in 0..layers {
                assert_eq!(Schedule::new(ista).weight(t), 0.0);
                assert_eq!(Schedule::new(fista).weight(t) > 0.0, t >= 2);
            }
        }
    }

    #[test]
    fn segments_cover_the_recorded_layers() {
        for (layers, recorded, recompute) in
            [(1, 1, true), (15, 15, true), (15, 15, false), (100, 37, true), (9, 0, true)]
        {
            let unrolling =
                Unrolling { recorded, recompute, ..Unrolling::ista(layers, Shrinkage::Soft) };
            let segments = Schedule::new(unrolling).segments();
            assert_eq!(segments.iter().map(|segment| segment.len()).sum::<usize>(), recorded);
            let most = if recompute { (recorded as f64).sqrt().ceil() as usize } else { recorded };
            assert!(segments.len() <= most.max(1) && segments.iter().all(|s| s.len() <= most));
            assert_eq!(segments.last().map_or(layers, |last| last.end), layers);
        }
    }
}
