//! What a pass computes, as scalars that can be sent to another process.

use crate::banks::Tying;
use crate::geometry::Geometry;
use crate::settings::{Extrapolation, Problem, Shrinkage, Unrolling};

/// Everything about a pass but its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The dictionary.
    pub problem: Problem,
    /// The layers.
    pub unrolling: Unrolling,
    /// The banks of atoms that count.
    pub tying: Tying,
}

impl Plan {
    /// The plan as integers. [`from_scalars`](Self::from_scalars) reads them.
    pub fn to_scalars(&self) -> Vec<u64> {
        let mut scalars = Vec::new();
        let mut push = |values: &[usize]| scalars.extend(values.iter().map(|v| *v as u64));
        match self.problem {
            Problem::Dense { dim } => push(&[0, dim]),
            Problem::Conv(Geometry { channels, height, width, atoms, kernel, stride }) => {
                push(&[1, channels, height, width, atoms]);
                push(&[kernel[0], kernel[1], stride[0], stride[1]]);
            }
        }
        let Unrolling { layers, shrinkage, extrapolation, recorded, recompute, half } =
            self.unrolling;
        let shrinkage = match shrinkage {
            Shrinkage::Soft => 0,
            Shrinkage::Relu => 1,
            Shrinkage::Hard => 2,
            Shrinkage::SignedSoft => 3,
        };
        let extrapolation = match extrapolation {
            Extrapolation::None => 0,
            Extrapolation::Fista => 1,
        };
        let tying = match self.tying {
            Tying::Tied => 0,
            Tying::Decoder => 1,
            Tying::Untied => 2,
        };
        push(&[layers, shrinkage, extrapolation, recorded]);
        push(&[usize::from(recompute), usize::from(half), tying]);
        scalars
    }

    /// Reads a plan from the integers of [`to_scalars`](Self::to_scalars). Returns `None` if there are
    /// too few or too many of them, or if one has no meaning. The plan itself is not checked: it may
    /// have no layers, or filters larger than an image.
    pub fn from_scalars(scalars: &[u64]) -> Option<Self> {
        let mut scalars = scalars.iter().map(|scalar| usize::try_from(*scalar).ok());
        let mut next = || scalars.next().flatten();
        let problem = match next()? {
            0 => Problem::Dense { dim: next()? },
            1 => Problem::Conv(Geometry {
                channels: next()?,
                height: next()?,
                width: next()?,
                atoms: next()?,
                kernel: [next()?, next()?],
                stride: [next()?, next()?],
            }),
            _ => return None,
        };
        let unrolling = Unrolling {
            layers: next()?,
            shrinkage: match next()? {
                0 => Shrinkage::Soft,
                1 => Shrinkage::Relu,
                2 => Shrinkage::Hard,
                3 => Shrinkage::SignedSoft,
                _ => return None,
            },
            extrapolation: match next()? {
                0 => Extrapolation::None,
                1 => Extrapolation::Fista,
                _ => return None,
            },
            recorded: next()?,
            recompute: flag(next()?)?,
            half: flag(next()?)?,
        };
        let tying = match next()? {
            0 => Tying::Tied,
            1 => Tying::Decoder,
            2 => Tying::Untied,
            _ => return None,
        };
        scalars.next().is_none().then_some(Self { problem, unrolling, tying })
    }
}

fn flag(scalar: usize) -> Option<bool> {
    match scalar {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
