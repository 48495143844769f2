//! How a training step changes the weights: Adam on a gradient, the update of NOODL, or online dictionary learning.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, list_param_ids};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;
use pudle_core::{Dictionary, Noise, Objective, Pudle};
use serde::{Deserialize, Serialize};

/// The rule by which a training step changes the weights. After each step they are projected onto what they
/// must be, atoms onto unit norm for example.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum UpdateRule {
    /// Adam on the gradient of the model's own estimator.
    #[default]
    Adam,
    /// `D ← D − η · mean_b[(D z − x) sign(z)ᵀ]` for the data `x` of a batch and their codes `z`: the dictionary
    /// update of NOODL (Rambhatla, Li & Haupt, *NOODL: Provable Online Dictionary Learning and Sparse Coding*,
    /// ICLR 2019). It changes the atoms alone, and uses no gradient estimator.
    Noodl,
    /// Online dictionary learning (Mairal, Bach, Ponce & Sapiro, *Online Learning for Matrix Factorization and Sparse
    /// Coding*, JMLR 11, 2010): with `A` and `B` the means of `z zᵀ` and `x zᵀ` over recent steps, each atom in turn moves the part
    /// `η` of the way to the minimum of `½⟨DᵀD, A⟩ − ⟨D, B⟩`, the mean of `½‖x − D z‖²` with codes held. It is for a
    /// matrix of atoms that are all that the model learns, and for estimators that take codes as constants. After `n` steps, the
    /// last `n/20 + 10` count in the means.
    Online,
}

impl UpdateRule {
    /// All rules.
    pub const ALL: [Self; 3] = [Self::Adam, Self::Noodl, Self::Online];

    /// The largest learning rate that a run may have. The update of NOODL is not scaled by the size of past
    /// gradients, so that rates far above 1 can be right for it.
    pub(crate) fn largest_rate(self) -> f64 {
        match self {
            Self::Adam | Self::Online => 1.0,
            Self::Noodl => 1000.0,
        }
    }
}

/// An [`UpdateRule`] with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The rule.
    pub rule: UpdateRule,
    /// Its learning rate, > 0: Adam's, or η of the other rules.
    pub learning_rate: f64,
    /// Adam's decay of the first moment, in [0, 1).
    pub beta_1: f32,
    /// Adam's decay of the second moment, in [0, 1).
    pub beta_2: f32,
    /// Adam's ε, > 0.
    pub epsilon: f32,
    /// Largest norm of the change of a weight tensor before the rule applies its rate; longer ones are scaled
    /// to it.
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

    /// Online dictionary learning with η = 1, which is its classical form.
    pub fn online() -> Self {
        Self { rule: UpdateRule::Online, ..Self::adam(1.0) }
    }

    /// The same with another ε of Adam.
    pub fn with_epsilon(self, epsilon: f32) -> Self {
        Self { epsilon, ..self }
    }

    /// Burn's optimiser for this rule. NOODL is gradient descent along a direction of its own. Online dictionary learning needs
    /// none.
    pub(crate) fn optimizer(&self) -> ModuleOptimizer {
        let clipping = self.clip.map(GradientClippingConfig::Norm);
        match self.rule {
            UpdateRule::Adam => AdamConfig::new()
                .with_beta_1(self.beta_1)
                .with_beta_2(self.beta_2)
                .with_epsilon(self.epsilon)
                .with_grad_clipping(clipping)
                .init(),
            UpdateRule::Noodl | UpdateRule::Online => {
                SgdConfig::new().with_gradient_clipping(clipping).init()
            }
        }
    }
}

/// The direction of NOODL on data `input`, compared with `target`, in place of a gradient of the atoms, and what
/// the forward pass computes, whose loss is the fit.
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
    (direction, Objective { loss: fit.clone(), fit, code, baseline: None, reconstruction })
}
