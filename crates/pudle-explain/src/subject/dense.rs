//! A dense model, shared by the subjects whose data are vectors.

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{DenseDictionary, Dictionary, Level, Noise, Pudle, StepSize};

use crate::attractors::{Attraction, Starts, attraction};
use crate::codes::SparseCodes;
use crate::error::Result;
use crate::network::Network;
use crate::saliency::saliency;

/// A dense dictionary network on a device.
#[derive(Clone, Debug)]
pub struct DenseModel {
    model: Pudle<2, DenseDictionary>,
    device: Device,
}

impl DenseModel {
    /// The model, which lies on `device`.
    pub fn new(model: Pudle<2, DenseDictionary>, device: &Device) -> Self {
        Self { model, device: device.clone() }
    }

    /// The device that the model is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of atoms `p`.
    pub fn atoms(&self) -> usize {
        self.model.dictionary().count()
    }

    /// Number of values of a datum, `m`.
    pub fn dim(&self) -> usize {
        self.model.dictionary().atoms().dims()[0]
    }

    /// What the model subtracts from its data.
    pub fn offset(&self) -> f32 {
        self.model.config().offset as f32
    }

    /// The atoms, one after the other, `p×m`.
    pub fn dictionary(&self) -> Vec<f32> {
        self.model.dictionary().atoms().transpose().into_data().iter::<f32>().collect()
    }

    /// The codes of data, `m` values each, before the offset is subtracted. Codes are multiplied by the gains of the decoder,
    /// if it has any, so that outputs are the dictionary times them.
    ///
    /// # Errors
    /// Returns an error if there are too many atoms for [`SparseCodes`].
    pub fn encode(&self, data: &[f32]) -> Result<SparseCodes> {
        let shape = [data.len() / self.dim(), self.dim()];
        let x = Tensor::<2>::from_data(TensorData::new(data.to_vec(), shape), &self.device);
        let code = self.model.encode(x, &Noise::Unknown);
        let code = match self.model.gain() {
            Some(gain) => code * gain.unsqueeze(),
            None => code,
        };
        let values: Vec<f32> = code.into_data().iter::<f32>().collect();
        let mut codes = SparseCodes::new(self.atoms())?;
        values.chunks_exact(self.atoms()).for_each(|code| codes.push(code.iter().copied()));
        Ok(codes)
    }

    /// The derivatives `∂z_j/∂x` of entries of the code of a datum, `m` values each.
    ///
    /// # Errors
    /// Returns an error if an entry is beyond the code.
    pub fn saliency(&self, datum: &[f32], entries: &[usize]) -> Result<Vec<Vec<f32>>> {
        let x = TensorData::new(datum.to_vec(), [1, self.dim()]);
        let gradients = saliency(&self.model, x, entries)?.into_iter();
        Ok(gradients.map(|gradient| gradient.into_iter().map(|g| g as f32).collect()).collect())
    }

    /// Iterates the network from its atoms and from noise.
    pub fn attraction(&self, starts: Starts) -> Attraction {
        attraction(&self.model, starts, &self.device)
    }

    /// The thresholds `λ` of the last layer, one for each atom if they are learned, else one.
    pub fn thresholds(&self) -> Vec<f32> {
        match self.model.threshold().lambda(self.model.config().layers - 1, &Noise::Unknown) {
            Level::Scalar(lambda) => vec![lambda as f32],
            Level::PerAtom(lambda) => lambda.into_data().iter::<f32>().collect(),
        }
    }

    /// The network's settings, for a page that runs it.
    pub fn network(&self) -> Network {
        let config = self.model.config();
        let step = self.model.step([1, self.dim()]);
        let (threshold, size) = (self.model.threshold(), StepSize::Given(step));
        let level = |layer| match threshold.level(layer, config.prox, &size, &Noise::Unknown) {
            Level::Scalar(level) => vec![level],
            Level::PerAtom(levels) => levels.into_data().iter::<f64>().collect(),
        };
        let schedule = if config.threshold.depends_on_noise() {
            "noise-adaptive".to_owned()
        } else {
            let schedule = serde_json::to_value(config.threshold).expect("settings are plain");
            schedule["kind"].as_str().unwrap_or_default().to_owned()
        };
        Network {
            layers: config.layers,
            algorithm: config.algorithm.to_string(),
            prox: config.prox.to_string(),
            schedule,
            tying: config.tying.to_string(),
            step,
            offset: config.offset,
            levels: (0..config.layers).map(level).collect(),
        }
    }
}
