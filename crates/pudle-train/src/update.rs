//! How a training step changes the weights: Adam on a gradient, or the update of NOODL.

use std::str::FromStr;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, list_param_ids};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;
use pudle_core::{Dictionary, Noise, Objective, Pudle};
use serde::{Deserialize, Serialize};

/// The rule that updates the weights in a training step. After each update the weights are projected onto their
/// constraints, for example atoms onto unit norm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum UpdateRule {
    /// Adam on the gradient of the model's own estimator.
    #[default]
    Adam,
    /// `D ← D − η · mean_b[(D z − x) sign(z)ᵀ]` for the data `x` of a batch and their codes `z`: the dictionary
    /// update of NOODL (Rambhatla, Li & Haupt, *NOODL: Provable Online Dictionary Learning and Sparse Coding*,
    /// ICLR 2019). It changes only the atoms, and uses no gradient estimator.
    Noodl,
}

impl UpdateRule {
    /// All rules.
    pub const ALL: [Self; 2] = [Self::Adam, Self::Noodl];

    /// The largest learning rate that is allowed. NOODL does not scale its update by past gradients as Adam does, so
    /// rates far above 1 can be right.
    pub(crate) fn largest_rate(self) -> f64 {
        match self {
            Self::Adam => 1.0,
            Self::Noodl => 1000.0,
        }
    }
}

impl FromStr for UpdateRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = Self::ALL.into_iter().find(|rule| rule.to_string() == text);
        rule.ok_or_else(|| format!("unknown update rule \"{text}\": it must be adam or noodl"))
    }
}

/// An [`UpdateRule`] with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The rule.
    pub rule: UpdateRule,
    /// Learning rate of Adam, or η of NOODL, > 0.
    pub learning_rate: f64,
    /// Adam's decay of the first moment, in [0, 1).
    pub beta_1: f32,
    /// Adam's decay of the second moment, in [0, 1).
    pub beta_2: f32,
    /// Adam's ε, > 0.
    pub epsilon: f32,
    /// Largest norm of the gradient (for NOODL, the direction) of a weight tensor. Longer ones are scaled to this norm.
    pub clip: Option<f32>,
}

impl Update {
    /// Adam with β = (0.9, 0.999) and ε = 1e-8.
    pub fn adam(learning_rate: f64) -> Self {
        let (beta_1, beta_2, epsilon) = (0.9, 0.999, 1e-8);
        Self { rule: UpdateRule::Adam, learning_rate, beta_1, beta_2, epsilon, clip: None }
    }

    /// NOODL with η = `learning_rate`.
    pub fn noodl(learning_rate: f64) -> Self {
        Self { rule: UpdateRule::Noodl, ..Self::adam(learning_rate) }
    }

    /// The same update with another ε of Adam.
    pub fn with_epsilon(self, epsilon: f32) -> Self {
        Self { epsilon, ..self }
    }

    /// Burn's optimiser for this rule. NOODL uses gradient descent, with its own direction as the gradient.
    pub(crate) fn optimizer(&self) -> ModuleOptimizer {
        let clipping = self.clip.map(GradientClippingConfig::Norm);
        match self.rule {
            UpdateRule::Adam => AdamConfig::new()
                .with_beta_1(self.beta_1)
                .with_beta_2(self.beta_2)
                .with_epsilon(self.epsilon)
                .with_grad_clipping(clipping)
                .init(),
            UpdateRule::Noodl => SgdConfig::new().with_gradient_clipping(clipping).init(),
        }
    }
}

/// The direction of NOODL for a batch, as the gradient of the atoms, and the result of the forward pass. The loss of
/// this result is the fit. `input` and `target` have the same shape.
pub(crate) fn noodl<const D: usize, A: Dictionary<D>>(
    model: &Pudle<D, A>,
    input: Tensor<D>,
    target: Tensor<D>,
    noise: &Noise,
) -> (GradientsParams, Objective<D>) {
    let plain = model.valid();
    let (input, target) = (input.inner(), target.inner());
    let (extent, batch) = (target.dims(), target.dims()[0] as f64);
    let code = plain.encode(input, noise);
    let reconstruction = plain.decode(code.clone(), extent);
    let residual = reconstruction.clone() - target;
    let fit = residual.clone().square().sum() * (0.5 / batch);
    // Σ_b (D z − x) sign(z)ᵀ is the gradient of Σ_b ⟨D z − x, D sign(z)⟩ in the second D, for any dictionary.
    let signs = code.clone().sign().autodiff();
    let response = model.dictionary().synthesize(signs, extent);
    let gradients = (response * residual.autodiff()).sum().backward();
    let sum = model.dictionary().atoms().grad(&gradients).expect("the atoms are trained");
    let [atoms] = list_param_ids(model.dictionary())[..] else {
        unreachable!("a dictionary has one parameter, its atoms");
    };
    let mut direction = GradientsParams::new();
    direction.register(atoms, sum / batch);
    (direction, Objective { loss: fit.clone(), fit, code, reconstruction })
}
