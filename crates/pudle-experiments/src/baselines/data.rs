//! The data of the experiment as files for other programs.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::tensor::{Dtype, TensorView};

use super::settings::Baselines;
use crate::error::{ExperimentError, Result};
use crate::folder;

impl Baselines {
    /// Writes the data that the first seed learns from, for other programs: a safetensors file for each sparsity,
    /// `data-sS.safetensors`, with the data in the order of training (`x`, `[n, m]`), the true dictionary (`truth`,
    /// `[m, p]`) and the start (`start`, `[m, p]`). Returns the paths of the files.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, or if a file cannot be written.
    pub fn save_data(&self, dir: &Path, device: &Device) -> Result<Vec<PathBuf>> {
        self.validate()?;
        std::fs::create_dir_all(dir).map_err(ExperimentError::io(dir))?;
        let mut paths = Vec::new();
        for &sparsity in &self.sparsity {
            let problem = self.problem(sparsity, self.seed, device)?;
            let mut x: Vec<f32> = Vec::new();
            for step in 0..self.steps {
                x.extend(problem.batch(step)?.input);
            }
            let matrix = |d: burn::tensor::Tensor<2>| d.into_data().iter::<f32>().collect();
            let truth: Vec<f32> = matrix(problem.dictionary());
            let start: Vec<f32> = matrix(problem.near(self.perturbation, self.seed));
            let shapes = [
                ("x", &x, vec![x.len() / self.dim, self.dim]),
                ("truth", &truth, vec![self.dim, self.atoms]),
                ("start", &start, vec![self.dim, self.atoms]),
            ];
            let path = dir.join(format!("data-s{sparsity}.safetensors"));
            let bytes: Vec<(&str, Vec<u8>, Vec<usize>)> = shapes
                .into_iter()
                .map(|(name, values, shape)| {
                    (name, values.iter().flat_map(|v| v.to_le_bytes()).collect(), shape)
                })
                .collect();
            let views = bytes.iter().map(|(name, bytes, shape)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
                (*name, view.expect("as many bytes as the shape says"))
            });
            let file = safetensors::serialize(views, None)
                .map_err(|error| ExperimentError::io(&path)(std::io::Error::other(error)))?;
            folder::write(&path, &file)?;
            paths.push(path);
        }
        Ok(paths)
    }
}
