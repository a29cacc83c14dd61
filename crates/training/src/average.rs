//! A running average of the weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Exponential moving average of all trained weights: after the first step the weights themselves, then
/// `average = d average + (1 - d) weights` after each step. That is PyTorch's
/// `AveragedModel(multi_avg_fn=get_ema_multi_avg_fn(d))`; no bias correction. Buffers (the statistics of batch norm) are not
/// averaged: [`WeightAverage::apply`] leaves the model's own.
pub(crate) struct WeightAverage {
    decay: f64,
    /// burn's map from parameter to tensor; empty before the first step.
    values: GradientsParams,
}

impl WeightAverage {
    pub fn new(decay: f64) -> Self {
        Self { decay, values: GradientsParams::new() }
    }

    /// Takes in the weights after a step. `model` is the one that is trained.
    pub fn update<M: Module>(&mut self, model: &M) {
        model.visit(&mut Update(self));
    }

    /// The average in place of the weights of `model`.
    pub fn apply<M: Module>(&self, model: M) -> M {
        model.map(&mut Apply(self))
    }

    /// Goes on from `average`, a model that [`WeightAverage::apply`] gave; `trained` says which parameters are averaged.
    pub fn restore<M: Module>(&mut self, average: &M, trained: &M) {
        let mut all = Collect(GradientsParams::new());
        average.visit(&mut all);
        trained.visit(&mut Select { from: all.0, into: &mut self.values });
    }
}

struct Update<'a>(&'a mut WeightAverage);

impl ModuleVisitor for Update<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weights = param.val();
        if !weights.is_require_grad() {
            return;
        }
        let (weights, decay) = (weights.inner(), self.0.decay);
        let average = match self.0.values.remove::<D>(param.id) {
            Some(average) => average.mul_scalar(decay) + weights.mul_scalar(1.0 - decay),
            None => weights,
        };
        self.0.values.register(param.id, average);
    }
}

struct Apply<'a>(&'a WeightAverage);

impl ModuleMapper for Apply<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.values.get::<D>(param.id) {
            Some(average) => param.map(|_| average),
            None => param,
        }
    }
}

struct Collect(GradientsParams);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val());
    }
}

struct Select<'a> {
    from: GradientsParams,
    into: &'a mut GradientsParams,
}

impl ModuleVisitor for Select<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(average) = self.from.remove::<D>(param.id).filter(|_| param.val().is_require_grad()) {
            self.into.register(param.id, average);
        }
    }
}
