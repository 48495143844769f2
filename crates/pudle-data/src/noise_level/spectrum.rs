//! The spectrum of the noise from the flattest parts of a channel.

use super::blocks::{Block, RINGS, counts};

/// Share of the groups that the search for the flattest begins with.
const SHARE: f32 = 0.03;
/// Fewest groups for a spectrum.
const FEWEST: usize = 24;
/// A wave of less power than this, on the scale 0 … 255, is what rounding to 8 bits leaves.
const ROUNDED: f32 = 0.4;
/// Groups up to this many standard errors above the mean count as flat.
const ERRORS: f32 = 2.0;

/// What the flattest groups hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spectrum {
    /// Variance of the waves of each ring.
    pub power: [f32; RINGS],
    /// Share of the groups that are as flat as noise alone would leave them.
    pub share: f32,
    /// Share of those that are much flatter than noise allows. In texture without noise it is large, for there the lower
    /// end of the energies is not sharp.
    pub below: f32,
    /// The first blocks of the flat groups.
    pub flat: Vec<usize>,
}

impl Spectrum {
    /// The flattest groups, 16×16 pixels each, found as follows. The score of a group is the mean of its waves' energies
    /// relative to the spectrum. The spectrum is first that of the groups with the lowest scores. Then it is the mean
    /// over all groups whose score is at most two standard errors above 1, several times: for noise alone this is nearly
    /// all of them, so that the choice has hardly any bias. `rounding` is the variance of the rounding to whole levels.
    ///
    /// In a picture that was a JPEG, the rings that it rounds to 0 or hardly changes do not count for the scores.
    ///
    /// `None` if there are too few groups.
    pub fn measure(groups: &[Block], rounding: f32, jpeg: bool) -> Option<Self> {
        if groups.len() < FEWEST {
            return None;
        }
        let first = ((SHARE * groups.len() as f32) as usize).max(8);
        let mut power = [0.0; RINGS];
        for (ring, value) in power.iter_mut().enumerate() {
            let mut energies: Vec<f32> = groups.iter().map(|group| group.energy[ring]).collect();
            let tenth = energies.len() / 10;
            *value = *energies.select_nth_unstable_by(tenth, f32::total_cmp).1 + rounding;
        }
        let mut scores = Scores::new(&power, rounding, jpeg);
        for _ in 0..4 {
            scores = Scores::new(&power, rounding, jpeg);
            let mut order: Vec<(f32, &Block)> =
                groups.iter().map(|group| (scores.of(group), group)).collect();
            order.select_nth_unstable_by(first - 1, |a, b| a.0.total_cmp(&b.0));
            power = mean(order[..first].iter().map(|(_, group)| *group));
        }
        for _ in 0..3 {
            scores = Scores { power, ..scores };
            let flat: Vec<&Block> =
                groups.iter().filter(|group| scores.of(group) < scores.highest()).collect();
            if flat.len() < first {
                break;
            }
            power = mean(flat.into_iter());
        }
        scores = Scores { power, ..scores };
        let flat: Vec<(f32, usize)> = groups
            .iter()
            .map(|group| (scores.of(group), group.at))
            .filter(|(score, _)| *score < scores.highest())
            .collect();
        let low = flat.iter().filter(|(score, _)| *score < 1.0 - 2.5 * scores.error).count();
        Some(Self {
            power,
            share: flat.len() as f32 / groups.len() as f32,
            below: low as f32 / flat.len().max(1) as f32,
            flat: flat.into_iter().map(|(_, at)| at).collect(),
        })
    }

    /// How sure it is, from 0 to 1, that the flattest groups hold noise and no texture: many groups are as flat as the
    /// noise allows, hardly any is flatter, and the noise does not grow towards coarse detail as texture does.
    pub fn trust(&self) -> f32 {
        let many = ramp(self.share, 0.05, 0.12);
        let sharp = 1.0 - ramp(self.below, 0.04, 0.12);
        let growth = self.power[1] / self.power[2].max(1e-12);
        many * sharp * (1.0 - ramp(growth, 2.4, 3.2))
    }
}

/// From 0 at `low` to 1 at `high`.
pub(super) fn ramp(value: f32, low: f32, high: f32) -> f32 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

fn mean<'a>(groups: impl ExactSizeIterator<Item = &'a Block>) -> [f32; RINGS] {
    let count = groups.len() as f32;
    let mut mean = [0.0; RINGS];
    for group in groups {
        for (sum, value) in mean.iter_mut().zip(group.energy) {
            *sum += value / count;
        }
    }
    mean
}

/// The scores of groups against a spectrum.
#[derive(Clone, Copy)]
struct Scores {
    power: [f32; RINGS],
    weights: [f32; RINGS],
    rounding: f32,
    /// Standard error of the score of noise.
    error: f32,
}

impl Scores {
    /// Rings that are empty but for rounding do not count.
    fn new(power: &[f32; RINGS], rounding: f32, jpeg: bool) -> Self {
        let mut weights = counts();
        let empty = |value: f32| value < ROUNDED * 12.0 * rounding;
        if jpeg {
            (weights[0], weights[4], weights[5]) = (0.0, 0.0, 0.0);
        } else if power.iter().filter(|value| !empty(**value)).count() >= 2 {
            for (weight, value) in weights.iter_mut().zip(power) {
                if empty(*value) {
                    *weight = 0.0;
                }
            }
        }
        // Four blocks of so many waves.
        let error = (2.0 / (4.0 * weights.iter().sum::<f32>())).sqrt();
        Self { power: *power, weights, rounding, error }
    }

    fn of(&self, group: &Block) -> f32 {
        let total: f32 = self.weights.iter().sum();
        let tiny = 1e-12;
        (0..RINGS)
            .map(|ring| {
                let relative = (group.energy[ring] + self.rounding + tiny)
                    / (self.power[ring] + self.rounding + tiny);
                self.weights[ring] * relative
            })
            .sum::<f32>()
            / total
    }

    fn highest(&self) -> f32 {
        1.0 + ERRORS * self.error
    }
}
