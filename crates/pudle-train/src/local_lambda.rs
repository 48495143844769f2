//! λ by place: how an estimate moves where a larger λ changes little, and where it changes much.

use std::path::Path;

use pudle_data::Image;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::files::{create_dir, write_whole};
use crate::window::window_mean;

/// Its file in a checkpoint.
const FILE: &str = "local-lambda.toml";
/// The ranges of the settings.
const FACTORS: [f32; 2] = [1.01, 4.0];
const WINDOWS: [usize; 2] = [1, 255];
const MOST_ROWS: usize = 64;
const MOST_WEIGHT: f32 = 1000.0;

/// A choice of λ by place, for a denoiser.
///
/// One λ for a whole picture is too small for its sky and too large for its grass. Let `x̂` be the estimate for the noise's
/// level `σ`, and `x̂₊` that for a level which is larger by [`factor`](Self::factor), so that every threshold is. Their
/// difference `d = x̂₊ - x̂` is what a larger λ takes away. The result is
///
/// ```text
/// x̂ + w(e, σ) d,   e² = mean of d²/σ² over a window and the channels.
/// ```
///
/// Where `e` is small, `d` is mostly noise, and `w > 0` makes λ larger. Where `e` is large, `d` is a part of the picture,
/// and `w < 0` makes λ smaller: to first order in its logarithm, the result is the estimate for the level `σ · factor^w`.
///
/// `w` is linear between its knots in `ln e` and `ln σ`, and constant beyond them. Its values are those with the smallest
/// squared error over photographs whose clean version is known ([`Denoiser::fit_local_lambda`]); the error is quadratic in them.
///
/// [`Denoiser::fit_local_lambda`]: crate::Denoiser::fit_local_lambda
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalLambda {
    /// Factor between the two noise levels that the network is told, from 1.01 to 4.
    pub factor: f32,
    /// Side of the square window in pixels, odd, from 1 to 255.
    pub window: usize,
    /// Knots of `e`, above 0 and ascending.
    pub knots: Vec<f32>,
    /// Noise levels on the scale 0 … 255, above 0 and ascending.
    pub levels: Vec<f32>,
    /// For each level, `w` at the knots of `e`, from -1000 to 1000.
    pub weights: Vec<Vec<f32>>,
}

impl LocalLambda {
    /// Reads the file of a checkpoint; `None` if its folder has none.
    ///
    /// # Errors
    /// Returns an error with the file, if it cannot be read or a value is out of its range.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TrainError::io(&path)(error)),
        }
    }

    /// Whether the folder of a checkpoint has such a file.
    pub fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Reads the contents of a file. Errors name `path`.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self> {
        let local: Self =
            toml::from_str(text).map_err(|error| TrainError::toml(path, text, &error))?;
        local.check().map_err(|error| TrainError::in_file(path, error))?;
        Ok(local)
    }

    /// Writes the file into the folder of a checkpoint. A file of before is replaced.
    ///
    /// # Errors
    /// Returns an error if a value is out of its range, or the file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        self.check()?;
        let path = dir.join(FILE);
        let text = toml::to_string(self).map_err(|error| TrainError::ConfigFile {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        create_dir(dir)?;
        write_whole(&path, text.as_bytes())
    }

    /// Checks the ranges.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { factor, window, knots, levels, weights } = self;
        let between = |field, value: String, [low, high]: [String; 2]| {
            Err(TrainError::range(field, value, format!("between {low} and {high}")))
        };
        if !(FACTORS[0]..=FACTORS[1]).contains(factor) {
            return between("factor", factor.to_string(), FACTORS.map(|v| v.to_string()));
        }
        if !(WINDOWS[0]..=WINDOWS[1]).contains(window) || window % 2 == 0 {
            let range = format!("odd and between {} and {}", WINDOWS[0], WINDOWS[1]);
            return Err(TrainError::range("window", window, range));
        }
        for (field, values) in [("knots", knots), ("levels", levels)] {
            let count = format!("{} values", values.len());
            if values.is_empty() || values.len() > MOST_ROWS {
                return between(field, count, [1, MOST_ROWS].map(|n| format!("{n} values")));
            }
            let ascending = values.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascending || values.iter().any(|value| !value.is_finite() || *value <= 0.0) {
                let range = "above 0, finite and ascending";
                return Err(TrainError::range(field, format!("{values:?}"), range));
            }
        }
        if weights.len() != levels.len() || weights.iter().any(|row| row.len() != knots.len()) {
            let shape: Vec<usize> = weights.iter().map(Vec::len).collect();
            let range = format!("{} rows of {} values", levels.len(), knots.len());
            return Err(TrainError::range("weights", format!("rows of {shape:?}"), range));
        }
        match weights.iter().flatten().find(|w| !(-MOST_WEIGHT..=MOST_WEIGHT).contains(*w)) {
            Some(weight) => {
                let most = MOST_WEIGHT.to_string();
                between("weights", weight.to_string(), [format!("-{most}"), most])
            }
            None => Ok(()),
        }
    }

    /// Farthest pixel that `w` of a pixel depends on.
    pub(crate) fn reach(&self) -> usize {
        self.window / 2
    }

    /// `w` at the knots of `e`, for a noise level.
    fn weights_at(&self, level: f32) -> Vec<f32> {
        let (k, share) = between_knots(&self.levels, level);
        let next = (k + 1).min(self.levels.len() - 1);
        let pairs = self.weights[k].iter().zip(&self.weights[next]);
        pairs.map(|(a, b)| a + share * (b - a)).collect()
    }

    /// Moves an estimate. `larger` is the estimate for the larger level, `sigma` the standard deviation of the noise on the
    /// scale of the pictures' values, and `level` that which the network was told, on the scale 0 … 255.
    pub(crate) fn apply(
        &self,
        mut estimate: Image,
        larger: &Image,
        sigma: f32,
        level: f32,
    ) -> Image {
        let [_, height, width] = estimate.shape();
        let weights = self.weights_at(level);
        let energy = energy(&estimate, larger, sigma, self.window);
        let moves: Vec<f32> = energy
            .into_iter()
            .map(|e| {
                let (k, share) = between_knots(&self.knots, e);
                let next = weights[(k + 1).min(weights.len() - 1)];
                weights[k] + share * (next - weights[k])
            })
            .collect();
        let planes = estimate.data.chunks_exact_mut(height * width);
        for (plane, larger) in planes.zip(larger.data.chunks_exact(height * width)) {
            for ((value, larger), w) in plane.iter_mut().zip(larger).zip(&moves) {
                *value += w * (larger - *value);
            }
        }
        estimate
    }
}

/// `e` of every pixel: the root mean square of the difference of two estimates over a window and the channels, relative to
/// the noise.
pub(crate) fn energy(one: &Image, two: &Image, sigma: f32, window: usize) -> Vec<f32> {
    let [channels, height, width] = one.shape();
    let mut power = vec![0.0; height * width];
    let planes = one.data.chunks_exact(height * width);
    for (one, two) in planes.zip(two.data.chunks_exact(height * width)) {
        for ((sum, a), b) in power.iter_mut().zip(one).zip(two) {
            *sum += (b - a).powi(2);
        }
    }
    window_mean(&mut power, width, window);
    let scale = 1.0 / (channels as f32 * sigma * sigma);
    power.iter_mut().for_each(|power| *power = (scale * *power).sqrt());
    power
}

/// The knot below a value, and the value's share of the way to the next one on a logarithmic axis, from 0 to 1.
pub(crate) fn between_knots(knots: &[f32], value: f32) -> (usize, f32) {
    let k = knots.partition_point(|knot| *knot <= value);
    match k {
        0 => (0, 0.0),
        k if k == knots.len() => (k - 1, 0.0),
        k => (k - 1, (value / knots[k - 1]).ln() / (knots[k] / knots[k - 1]).ln()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> LocalLambda {
        LocalLambda {
            factor: 1.2,
            window: 3,
            knots: vec![0.1, 0.4],
            levels: vec![10.0, 40.0],
            weights: vec![vec![2.0, -1.0], vec![4.0, 1.0]],
        }
    }

    #[test]
    fn weights_are_linear_between_knots() {
        let local = local();
        assert_eq!(local.weights_at(1.0), [2.0, -1.0]);
        assert_eq!(local.weights_at(99.0), [4.0, 1.0]);
        let middle = local.weights_at(20.0);
        assert!((middle[0] - 3.0).abs() < 1e-5 && middle[1].abs() < 1e-5, "{middle:?}");
        let (k, share) = between_knots(&local.knots, 0.2);
        assert!(k == 0 && (share - 0.5).abs() < 1e-5);
    }

    #[test]
    fn flat_places_move_on_and_busy_ones_back() {
        let estimate = Image::from_fn(1, 20, 60, |_, _, _| 0.5);
        // Left, the estimates differ by a twentieth of the noise; right, by the noise itself.
        let larger = Image::from_fn(1, 20, 60, |_, _, x| if x < 30 { 0.505 } else { 0.6 });
        let moved = local().apply(estimate, &larger, 0.1, 10.0);
        assert!((moved.data[10 * 60 + 5] - 0.51).abs() < 1e-5, "{}", moved.data[605]);
        assert!((moved.data[10 * 60 + 50] - 0.4).abs() < 1e-5, "{}", moved.data[650]);
    }

    #[test]
    fn files_are_read_back_and_wrong_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LocalLambda::read(dir.path()).unwrap(), None);
        local().write(dir.path()).unwrap();
        assert_eq!(LocalLambda::read(dir.path()).unwrap(), Some(local()));
        let wrong = [
            LocalLambda { factor: 1.0, ..local() },
            LocalLambda { window: 4, ..local() },
            LocalLambda { knots: vec![0.4, 0.1], ..local() },
            LocalLambda { levels: vec![], ..local() },
            LocalLambda { weights: vec![vec![0.0; 2]], ..local() },
            LocalLambda { weights: vec![vec![f32::NAN; 2]; 2], ..local() },
        ];
        for wrong in wrong {
            let text = toml::to_string(&wrong).unwrap();
            let error = LocalLambda::parse(&text, Path::new("here.toml")).unwrap_err().to_string();
            assert!(error.contains("here.toml"), "{error}");
            assert!(wrong.write(dir.path()).is_err());
        }
        assert_eq!(LocalLambda::read(dir.path()).unwrap(), Some(local()));
    }
}
