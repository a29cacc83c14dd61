//! AdamW in one pass over memory.
//!
//! burn's goes over a parameter a dozen times, with a new buffer each time. The state is burn's, so what one of them wrote
//! the other can read; where a tensor is not on burn's CPU backend in `f32`, burn's does the step.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{DType, Device, Tensor};
use pulp::Arch;
use rayon::prelude::*;

/// Elements of a thread's share, whatever the number of threads.
const BLOCK: usize = 16_384;
/// Below this many elements waking up another thread costs more than it saves.
const WORTH_SHARING: usize = 65_536;

/// The update rule of Loshchilov and Hutter, arXiv 1711.05101, with PyTorch's definitions.
#[derive(Clone)]
pub(crate) struct FusedAdamW {
    pub(crate) betas: [f64; 2],
    pub(crate) epsilon: f64,
    pub(crate) weight_decay: f64,
}

impl FusedAdamW {
    fn plain(&self) -> AdamW {
        let [beta_1, beta_2] = self.betas.map(|beta| beta as f32);
        let rule = AdamWConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(self.epsilon as f32);
        rule.with_weight_decay(self.weight_decay as f32).build()
    }

    /// The factors of step `time`, counted from 1.
    fn factors(&self, learning_rate: f64, time: usize) -> Factors {
        let [first, second] = self.betas.map(|beta| 1.0 - beta.powi(time as i32));
        Factors {
            keep: (1.0 - learning_rate * self.weight_decay) as f32,
            step: (learning_rate / first) as f32,
            root: (1.0 / second.sqrt()) as f32,
            old: self.betas.map(|beta| beta as f32),
            new: self.betas.map(|beta| (1.0 - beta) as f32),
            epsilon: self.epsilon as f32,
        }
    }
}

/// The numbers of one step, computed in double precision.
#[derive(Clone, Copy)]
struct Factors {
    /// What weight decay leaves of a weight.
    keep: f32,
    /// Learning rate over the first moment's correction for its start at 0.
    step: f32,
    /// The same correction for the root of the second moment.
    root: f32,
    /// Share of the old in each moment.
    old: [f32; 2],
    /// Share of the new.
    new: [f32; 2],
    epsilon: f32,
}

impl Factors {
    /// Moves `weights` and both moments; all slices have one length.
    fn update(self, weights: &mut [f32], gradient: &[f32], [first, second]: [&mut [f32]; 2]) {
        if weights.len() < WORTH_SHARING || rayon::current_num_threads() == 1 {
            return self.update_block(weights, gradient, first, second);
        }
        let parts = weights.par_chunks_mut(BLOCK).zip(gradient.par_chunks(BLOCK));
        let parts = parts.zip(first.par_chunks_mut(BLOCK)).zip(second.par_chunks_mut(BLOCK));
        parts.for_each(|(((weights, gradient), first), second)| self.update_block(weights, gradient, first, second));
    }

    fn update_block(self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                // As in every `dispatch`: a closure that takes over a slice is inlined, one that borrows it is not.
                let weights = weights;
                for (((weight, gradient), first), second) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
                    *first = self.old[0] * *first + self.new[0] * gradient;
                    *second = self.old[1] * *second + self.new[1] * (gradient * gradient);
                    *weight = *weight * self.keep - self.step * *first / (second.sqrt() * self.root + self.epsilon);
                }
            },
        );
    }
}

impl Optimizer for FusedAdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        if tensor.device() != Device::flex() || tensor.dtype() != DType::F32 || gradient.dtype() != DType::F32 {
            return self.plain().step(learning_rate, tensor, gradient, state);
        }
        let momentum = state.map_or_else(
            || AdaptiveMomentumState::new(0, tensor.zeros_like(), tensor.zeros_like()),
            |state| state.momentum,
        );
        let time = momentum.time + 1;
        let [mut weights, mut first, mut second, gradient] =
            [tensor, momentum.moment_1, momentum.moment_2, gradient].map(own);
        let factors = self.factors(learning_rate, time);
        factors.update(weights.storage_mut(), gradient.storage(), [first.storage_mut(), second.storage_mut()]);
        let [weights, first, second] = [weights, first, second].map(Tensor::from_primitive::<Flex>);
        (weights, Some(AdamWState::new(AdaptiveMomentumState::new(time, first, second))))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamW::to_device(state, device)
    }
}

/// The tensor's numbers in order, in a buffer of just their size.
fn own<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    // The caller looked at the device; an optimizer sees tensors without gradients.
    let tensor =
        tensor.try_into_primitive::<Flex>().unwrap_or_else(|error| panic!("not a plain CPU tensor: {error:?}"));
    let fits = tensor.layout().start_offset() == 0 && tensor.storage::<f32>().len() == tensor.layout().num_elements();
    if tensor.is_contiguous() && fits { tensor } else { tensor.to_contiguous() }
}

/// Sum of squares of a gradient, in double precision.
pub(crate) fn sum_of_squares<const D: usize>(gradient: Tensor<D>) -> f64 {
    if gradient.device() != Device::flex() || gradient.dtype() != DType::F32 {
        return f64::from(gradient.square().sum().into_scalar::<f32>());
    }
    let gradient = own(gradient);
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            // Not only borrowed, for the same reason as above.
            let gradient = gradient;
            let values = gradient.storage::<f32>();
            // Sixteen sums side by side, as wide as a vector register.
            let mut sums = [0.0_f32; 16];
            let mut total = 0.0;
            for block in values.chunks(4096) {
                let (rows, rest) = block.as_chunks::<16>();
                for row in rows {
                    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * value);
                }
                total += sums.iter().map(|sum| f64::from(*sum)).sum::<f64>();
                total += rest.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
                sums = [0.0; 16];
            }
            total
        },
    )
}
