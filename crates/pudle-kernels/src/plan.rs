//! Everything about a pass but its tensors, as plain numbers that can cross a wire.

use crate::geometry::Geometry;
use crate::settings::{Extrapolation, Problem, Shrinkage, Unrolling};

/// The banks of atoms that are their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnBanks {
    /// Whether the layers' analysis has atoms of its own.
    pub analysis: bool,
    /// Whether the decoder has atoms of its own.
    pub decoder: bool,
}

/// Everything about a pass but its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The dictionary.
    pub problem: Problem,
    /// The layers.
    pub unrolling: Unrolling,
    /// The banks of atoms that are their own.
    pub own: OwnBanks,
    /// How many numbers of the output are codes.
    pub codes: usize,
}

/// Numbers of an encoded plan.
const LENGTH: usize = 18;

/// The first number of an encoded plan: its version.
const VERSION: u64 = 1;

impl Plan {
    /// The plan as numbers.
    pub fn to_scalars(&self) -> Vec<u64> {
        let (kind, sizes) = match self.problem {
            Problem::Dense { dim } => (0, [dim, 0, 0, 0, 0, 0, 0, 0]),
            Problem::Conv(g) => {
                let ([kernel_height, kernel_width], [down, across]) = (g.kernel, g.stride);
                let sizes = [
                    g.channels,
                    g.height,
                    g.width,
                    g.atoms,
                    kernel_height,
                    kernel_width,
                    down,
                    across,
                ];
                (1, sizes)
            }
        };
        let Unrolling { layers, shrinkage, extrapolation, recorded, recompute } = self.unrolling;
        let shrinkage = match shrinkage {
            Shrinkage::Soft => 0,
            Shrinkage::Relu => 1,
            Shrinkage::Hard => 2,
        };
        let extrapolation = match extrapolation {
            Extrapolation::None => 0,
            Extrapolation::Fista => 1,
        };
        let mut scalars = vec![VERSION, kind];
        scalars.extend(sizes.map(|size| size as u64));
        scalars.extend([
            layers as u64,
            shrinkage,
            extrapolation,
            recorded as u64,
            recompute.into(),
            self.own.analysis.into(),
            self.own.decoder.into(),
            self.codes as u64,
        ]);
        scalars
    }

    /// The plan of these numbers; `None` if they are of another version, or no plan's.
    pub fn from_scalars(scalars: &[u64]) -> Option<Self> {
        let scalars: &[u64; LENGTH] = scalars.try_into().ok()?;
        let size = |k: usize| usize::try_from(scalars[k]).ok();
        let flag = |k: usize| match scalars[k] {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        let problem = match (scalars[0], scalars[1]) {
            (VERSION, 0) => Problem::Dense { dim: size(2)? },
            (VERSION, 1) => Problem::Conv(Geometry {
                channels: size(2)?,
                height: size(3)?,
                width: size(4)?,
                atoms: size(5)?,
                kernel: [size(6)?, size(7)?],
                stride: [size(8)?, size(9)?],
            }),
            _ => return None,
        };
        let unrolling = Unrolling {
            layers: size(10)?,
            shrinkage: match scalars[11] {
                0 => Shrinkage::Soft,
                1 => Shrinkage::Relu,
                2 => Shrinkage::Hard,
                _ => return None,
            },
            extrapolation: match scalars[12] {
                0 => Extrapolation::None,
                1 => Extrapolation::Fista,
                _ => return None,
            },
            recorded: size(13)?,
            recompute: flag(14)?,
        };
        let own = OwnBanks { analysis: flag(15)?, decoder: flag(16)? };
        Some(Self { problem, unrolling, own, codes: size(17)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_survive_the_wire() {
        let geometry = Geometry {
            channels: 3,
            height: 40,
            width: 50,
            atoms: 7,
            kernel: [5, 4],
            stride: [3, 2],
        };
        for problem in [Problem::Dense { dim: 9 }, Problem::Conv(geometry)] {
            for shrinkage in [Shrinkage::Soft, Shrinkage::Relu, Shrinkage::Hard] {
                for (extrapolation, recompute) in
                    [(Extrapolation::None, false), (Extrapolation::Fista, true)]
                {
                    let unrolling =
                        Unrolling { layers: 12, shrinkage, extrapolation, recorded: 5, recompute };
                    let own = OwnBanks { analysis: recompute, decoder: !recompute };
                    let plan = Plan { problem, unrolling, own, codes: usize::MAX };
                    let scalars = plan.to_scalars();
                    assert_eq!(Plan::from_scalars(&scalars), Some(plan));
                    assert_eq!(Plan::from_scalars(&scalars[1..]), None);
                    for wrong in [0, 1, 11, 12, 14, 15, 16] {
                        let mut scalars = scalars.clone();
                        scalars[wrong] = 9;
                        assert_eq!(Plan::from_scalars(&scalars), None, "number {wrong}");
                    }
                }
            }
        }
    }
}
