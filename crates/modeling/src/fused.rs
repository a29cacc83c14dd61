//! A layer `linear -> activation -> dropout` and the binary loss as one operation each, with their own gradients.
//!
//! burn runs one operation per step, each with a buffer of its own and a pass over memory; dropout's random numbers
//! cost more than the matrix product of a small layer. Here the product is burn's and all that follows is done in
//! place, so a training step takes about half the time. On devices other than burn's CPU backend every function says
//! `None`, and the caller does the same with burn's operations.

pub(crate) mod windows;

use std::cell::RefCell;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::nn;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Activation;
use crate::kernels::{self, Mask, Slope};

type Tracked = Autodiff<Flex, NoCheckpointing>;

/// dropout(activation(x W + bias)), `[batch, inputs] -> [batch, outputs]`; `None` where this build has no fused form.
///
/// `dropout` is 0 outside of training. The mask comes from one draw of [`seed_dropout`]'s generator.
pub(crate) fn layer(
    x: &Tensor<2>,
    linear: &nn::Linear,
    activation: Option<Activation>,
    dropout: f64,
) -> Option<Tensor<2>> {
    let bias = linear.bias.as_ref()?.val();
    let weight = linear.weight.val();
    if !is_cpu(&x.device()) {
        return None;
    }
    let plan = Plan { activation, dropout };
    if !x.device().is_autodiff() {
        let [x, weight] = [x.clone(), weight].map(|tensor| tensor.try_into_primitive::<Flex>());
        let (out, _) = plan.forward(
            &single(x.ok()?)?,
            &single(weight.ok()?)?,
            &single(bias.try_into_primitive::<Flex>().ok()?)?,
            false,
        );
        return Some(Tensor::from_primitive::<Flex>(out));
    }
    let (x, x_node) = x.clone().try_into_primitive::<Tracked>().ok()?.into_parts();
    let (weight, weight_node) = weight.try_into_primitive::<Tracked>().ok()?.into_parts();
    let (bias, bias_node) = bias.try_into_primitive::<Tracked>().ok()?.into_parts();
    let (x, weight, bias) = (single(x)?, single(weight)?, single(bias)?);
    let prepared =
        LayerBackward.prepare::<NoCheckpointing>([x_node, weight_node, bias_node]).compute_bound().stateful();
    let out = match prepared {
        OpsKind::Tracked(prepared) => {
            let (out, follows) = plan.forward(&x, &weight, &bias, true);
            prepared.finish(Saved { x, weight, follows }, out)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(plan.forward(&x, &weight, &bias, false).0),
    };
    Some(Tensor::from_primitive::<Tracked>(out))
}

/// x W + bias, on any device.
pub(crate) fn linear(x: Tensor<2>, linear: &nn::Linear) -> Tensor<2> {
    layer(&x, linear, None, 0.0).unwrap_or_else(|| linear.forward(x))
}

/// Dropout alone, for layers whose activation is not fused; `None` where this build has no cheap mask.
pub(crate) fn dropout(x: &Tensor<2>, dropout: f64) -> Option<Tensor<2>> {
    if dropout == 0.0 {
        return Some(x.clone());
    }
    if !is_cpu(&x.device()) {
        return None;
    }
    let [_, columns] = x.dims();
    let mut mask = FlexTensor::empty(x.shape(), DType::F32);
    Mask::new(draw(), dropout).fill(mask.storage_mut(), columns);
    Some(x.clone() * Tensor::from_primitive::<Flex>(mask).autodiff())
}

fn is_cpu(device: &Device) -> bool {
    #[cfg(test)]
    if IN_STEPS.get() {
        return false;
    }
    *device == Device::flex()
}

#[cfg(test)]
thread_local! {
    /// Lets a test see what other devices do: burn's operations, step by step.
    pub(crate) static IN_STEPS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The tensor laid out row by row, if its numbers are `f32`.
fn single(tensor: FlexTensor) -> Option<FlexTensor> {
    (tensor.dtype() == DType::F32).then(|| if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() })
}

/// What follows the linear part.
struct Plan {
    activation: Option<Activation>,
    dropout: f64,
}

impl Plan {
    /// The layer's result; `keep_slope` when it will be differentiated.
    fn forward(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: &FlexTensor,
        keep_slope: bool,
    ) -> (FlexTensor, Follows) {
        self.finish(Flex::float_matmul(x.clone(), weight.clone()), bias, keep_slope)
    }

    /// The same from x W on.
    fn finish(&self, mut out: FlexTensor, bias: &FlexTensor, keep_slope: bool) -> (FlexTensor, Follows) {
        let mask = (self.dropout > 0.0).then(|| Mask::new(draw(), self.dropout));
        let by_sign = matches!(self.activation, Some(Activation::Relu));
        let needs_values = keep_slope && !by_sign && (self.activation.is_some() || mask.is_some());
        let mut slopes = needs_values.then(|| FlexTensor::empty(out.shape(), DType::F32));
        let bias = values(bias);
        kernels::finish_layer(
            out.storage_mut(),
            slopes.as_mut().map(FlexTensor::storage_mut),
            bias,
            self.activation,
            mask,
        );
        let follows = match slopes {
            Some(slopes) => Follows::Values(slopes),
            None if by_sign && keep_slope => {
                Follows::Sign { result: out.clone(), scale: (1.0 / (1.0 - self.dropout)) as f32 }
            }
            None => Follows::One,
        };
        (out, follows)
    }
}

thread_local! {
    /// Each training has a thread of its own, and burn's CPU backend one generator for the whole process.
    static DROPOUT: RefCell<ChaCha12Rng> = RefCell::new(ChaCha12Rng::seed_from_u64(0));
}

/// Seeds dropout on the CPU, for the networks that are trained by this thread: the same seed drops the same units, whatever
/// other threads do. Other devices have a generator of their own.
pub fn seed_dropout(seed: u64) {
    DROPOUT.set(ChaCha12Rng::seed_from_u64(seed));
}

/// 64 random bits, by which a mask is made.
fn draw() -> u64 {
    DROPOUT.with_borrow_mut(|generator| generator.next_u64())
}

fn values(tensor: &FlexTensor) -> &[f32] {
    let storage = tensor.storage::<f32>();
    let start = tensor.layout().start_offset();
    &storage[start..start + tensor.layout().num_elements()]
}

/// [`Slope`] with the tensor that it looks at.
#[derive(Debug, Clone)]
enum Follows {
    One,
    Sign { result: FlexTensor, scale: f32 },
    Values(FlexTensor),
}

impl Follows {
    fn slope(&self) -> Slope<'_> {
        match self {
            Self::One => Slope::One,
            Self::Sign { result, scale } => Slope::Sign { result: values(result), scale: *scale },
            Self::Values(slopes) => Slope::Values(values(slopes)),
        }
    }
}

#[derive(Debug, Clone)]
struct Saved {
    x: FlexTensor,
    weight: FlexTensor,
    follows: Follows,
}

#[derive(Debug)]
struct LayerBackward;

impl Backward<Flex, 3> for LayerBackward {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = own(gradients.consume::<Flex>(&ops.node));
        let [x_node, weight_node, bias_node] = ops.parents;
        let Saved { x, weight, follows } = ops.state;
        let bias_gradient = kernels::unfinish_layer(gradient.storage_mut(), weight.shape()[1], follows.slope());
        if let Some(node) = bias_node {
            gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::from(bias_gradient.as_slice())));
        }
        if let Some(node) = weight_node {
            let by_weight = Flex::float_matmul(x.transpose(0, 1), gradient.clone());
            gradients.register::<Flex>(node.id, by_weight);
        }
        if let Some(node) = x_node {
            gradients.register::<Flex>(node.id, Flex::float_matmul(gradient, weight.transpose(0, 1)));
        }
    }
}

/// The tensor as the only owner of a buffer of just its size.
fn own(tensor: FlexTensor) -> FlexTensor {
    let fits = tensor.layout().start_offset() == 0 && tensor.storage::<f32>().len() == tensor.layout().num_elements();
    if tensor.is_contiguous() && fits { tensor } else { tensor.to_contiguous() }
}

/// Mean binary cross-entropy of logits `[batch, 1]` for labels `[batch]`; `None` where this build has no fused form.
pub(crate) fn binary_cross_entropy(logits: &Tensor<2>, labels: &Tensor<1>) -> Option<Tensor<1>> {
    loss(logits, labels, kernels::binary_cross_entropy)
}

/// A loss by `kernel`, which writes the gradient over the outputs that it is given, with the targets.
fn loss<const D: usize>(
    outputs: &Tensor<2>,
    targets: &Tensor<D>,
    kernel: impl Fn(&mut [f32], &[f32]) -> f32,
) -> Option<Tensor<1>> {
    let targets = plain(targets)?;
    let both = |outputs: FlexTensor| -> Option<(FlexTensor, FlexTensor)> {
        let mut gradient = own(single(outputs)?);
        let loss = kernel(gradient.storage_mut(), values(&targets));
        Some((FlexTensor::from_data(TensorData::from([loss])), gradient))
    };
    if !outputs.device().is_autodiff() {
        let (loss, _) = both(outputs.clone().try_into_primitive::<Flex>().ok()?)?;
        return Some(Tensor::from_primitive::<Flex>(loss));
    }
    let (outputs, node) = outputs.clone().try_into_primitive::<Tracked>().ok()?.into_parts();
    let (loss, gradient) = both(outputs)?;
    let loss = match LossBackward.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(gradient, loss),
        OpsKind::UnTracked(prepared) => prepared.finish(loss),
    };
    Some(Tensor::from_primitive::<Tracked>(loss))
}

/// The numbers without their history, if they are on burn's CPU backend.
fn plain<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    if !is_cpu(&tensor.device()) {
        return None;
    }
    let tensor = if tensor.device().is_autodiff() { tensor.clone().inner() } else { tensor.clone() };
    single(tensor.try_into_primitive::<Flex>().ok()?)
}

/// The state is the gradient for a loss that counts once.
#[derive(Debug)]
struct LossBackward;

impl Backward<Flex, 1> for LossBackward {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let weight = values(&gradients.consume::<Flex>(&ops.node))[0];
        let mut gradient = ops.state;
        gradient.storage_mut::<f32>().iter_mut().for_each(|value| *value *= weight);
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;

    use super::*;
    use burn::backend::flex::FlexDevice;
    use burn::backend::ops::IntTensorOps;
    use burn::tensor::{Distribution, IntDType, Shape};

    const ALL: [Activation; 6] = [
        Activation::Relu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Tanh,
        Activation::LeakyRelu,
        Activation::Elu,
    ];

    fn device() -> Device {
        Device::flex().autodiff()
    }

    fn matrix<const N: usize>(numbers: [f32; N], columns: usize) -> Tensor<2> {
        Tensor::<1>::from_floats(numbers, &device()).reshape([N / columns, columns])
    }

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    fn assert_close(found: &[f32], wanted: &[f32], tolerance: f32, what: &str) {
        assert_eq!(found.len(), wanted.len(), "{what}");
        for (found, wanted) in found.iter().zip(wanted) {
            let difference = (found - wanted).abs();
            assert!(difference <= tolerance * wanted.abs().max(1.0), "{what}: {found} in place of {wanted}");
        }
    }

    /// `[x 4x3, weight 3x2, bias 2, factors 4x2]`; the loss is the sum of layer * factors.
    fn example() -> (Tensor<2>, nn::Linear, Tensor<2>) {
        let x = matrix([0.5, -1.0, 2.0, 1.5, 0.25, -0.75, -0.4, 0.8, 0.3, -2.0, 1.0, -1.5], 3).require_grad();
        let mut linear = nn::LinearConfig::new(3, 2).init(&device());
        linear.weight = Param::from_tensor(matrix([0.2, -0.4, 0.7, 0.1, -0.3, 0.6], 2));
        linear.bias = Some(Param::from_tensor(Tensor::from_floats([0.1, -0.2], &device())));
        (x, linear, matrix([1.0, -2.0, 0.5, 1.5, -1.0, 1.0, 2.0, 0.25], 2))
    }

    /// Result and gradients of x, weight and bias.
    fn all_of(out: Tensor<2>, factors: Tensor<2>, x: &Tensor<2>, linear: &nn::Linear) -> [Vec<f32>; 4] {
        let gradients = (out.clone() * factors).sum().backward();
        let bias = linear.bias.as_ref().unwrap().val();
        [
            floats(out),
            floats(x.grad(&gradients).unwrap()),
            floats(linear.weight.val().grad(&gradients).unwrap()),
            floats(bias.grad(&gradients).unwrap()),
        ]
    }

    /// Values of PyTorch 2.15 in double precision: result, gradients of x, weight, bias.
    #[rustfmt::skip]
    #[allow(clippy::type_complexity, reason = "a table, read once")]
    const PYTORCH: [(Activation, [f32; 8], [f32; 12], [f32; 6], [f32; 2]); 6] = [
        (Activation::Relu, [0.0, 0.7, 0.8, 0.0, 0.49, 0.22, 0.85, 0.0], [0.8, -0.2, -1.2, 0.1, 0.35, -0.15, -0.6, -0.6, 0.9, 0.4, 1.4, -0.6], [-2.85, -1.4, 1.325, 2.8, -3.675, -3.7], [1.5, -1.0]),
        (Activation::Gelu, [-0.1492327, 0.5306254, 0.6305157, -0.1351023, 0.3370872, 0.1291542, 0.6819868, -0.08414806], [0.760497, -0.2681028, -1.140746, 0.1742825, 0.3388911, -0.2614237, -0.4413535, -0.5356375, 0.6620303, 0.3811967, 1.462638, -0.571795], [-3.09704, -1.688071, 1.619667, 2.531865, -3.964669, -3.697537], [1.621926, -1.375594]),
        (Activation::Silu, [-0.2747139, 0.4677314, 0.5519796, -0.2781457, 0.3038522, 0.1220514, 0.5954821, -0.0900332], [0.667436, -0.1341342, -1.001154, 0.07886993, 0.3031959, -0.1183049, -0.3907552, -0.4539646, 0.5861328, 0.3114833, 1.24044, -0.467225], [-2.553638, -1.240215, 1.233323, 2.23876, -3.092931, -3.274635], [1.496394, -0.9193881]),
        (Activation::Tanh, [-0.800499, 0.6043678, 0.6640368, -0.8411229, 0.4542164, 0.2165181, 0.6910695, -0.1973753], [0.5796319, 0.124493, -0.8694479, -0.1196018, 0.2395461, 0.1794028, -0.5399855, -0.4602692, 0.8099782, 0.1128649, 0.7554183, -0.1692973], [-1.173325, -0.8383565, 0.1205766, 2.381928, -1.296618, -2.94249], [0.8898874, 0.3626699]),
        (Activation::LeakyRelu, [-0.011, 0.7, 0.8, -0.01225, 0.49, 0.22, 0.85, -0.002], [0.802, -0.193, -1.203, 0.094, 0.3515, -0.141, -0.6, -0.6, 0.9, 0.399, 1.40025, -0.5985], [-2.845, -1.3825, 1.315, 2.80625, -3.655, -3.715], [1.51, -0.9825]),
        (Activation::Elu, [-0.6671289, 0.7, 0.8, -0.7062423, 0.49, 0.22, 0.85, -0.1812692], [0.8665742, 0.03300976, -1.299861, -0.07625462, 0.3940637, 0.1143819, -0.6, -0.6, 0.9, 0.3181269, 1.420468, -0.4771904], [-2.683564, -1.148411, 0.9921289, 3.114842, -3.009258, -4.337501], [1.832871, -0.3546808]),
    ];

    #[test]
    fn gradients_are_those_of_pytorch() {
        for (activation, out, of_x, of_weight, of_bias) in PYTORCH {
            let (x, linear, factors) = example();
            let found = layer(&x, &linear, Some(activation), 0.0).unwrap();
            let found = all_of(found, factors, &x, &linear);
            for (found, wanted) in found.iter().zip([&out[..], &of_x, &of_weight, &of_bias]) {
                assert_close(found, wanted, 2e-6, &format!("{activation:?}"));
            }
        }
    }

    #[test]
    fn equals_the_plain_operations_on_sizes_that_leave_a_rest() {
        for activation in ALL.map(Some).into_iter().chain([None]) {
            for (rows, inputs, outputs) in [(1, 1, 1), (7, 5, 3), (129, 33, 67), (700, 20, 130)] {
                let x = Tensor::random([rows, inputs], Distribution::Normal(0.0, 2.0), &device()).require_grad();
                let factors = Tensor::random([rows, outputs], Distribution::Normal(0.0, 1.0), &device());
                let linear = nn::LinearConfig::new(inputs, outputs).init(&device());
                let plain = linear.forward(x.clone());
                let plain = activation.map_or(plain.clone(), |activation| activation.apply(plain));
                let fused = layer(&x, &linear, activation, 0.0).unwrap();
                let plain = all_of(plain, factors.clone(), &x, &linear);
                let fused = all_of(fused, factors, &x, &linear);
                // Sums over rows in another order differ in the last digits.
                for (index, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
                    let tolerance = if index < 2 { 1e-5 } else { 1e-5 * (rows as f32).sqrt() };
                    assert_close(
                        fused,
                        plain,
                        tolerance,
                        &format!("{activation:?} {rows}x{inputs}x{outputs}: {index}"),
                    );
                }
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        const STEP: f32 = 1e-2;
        for activation in ALL {
            let (x, linear, factors) = example();
            let loss = |linear: &nn::Linear| -> f32 {
                (layer(&x, linear, Some(activation), 0.0).unwrap() * factors.clone()).sum().into_scalar()
            };
            let [_, _, of_weight, _] =
                all_of(layer(&x, &linear, Some(activation), 0.0).unwrap(), factors.clone(), &x, &linear);
            for (place, wanted) in of_weight.into_iter().enumerate() {
                let moved = |by: f32| {
                    let mut weight = floats(linear.weight.val());
                    weight[place] += by;
                    let weight = Tensor::<1>::from_floats(weight.as_slice(), &device()).reshape([3, 2]);
                    loss(&nn::Linear { weight: Param::from_tensor(weight), ..linear.clone() })
                };
                let found = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!((found - wanted).abs() < 2e-3, "{activation:?}: {found} in place of {wanted}");
            }
        }
    }

    #[test]
    fn seeded_like_burns_own_generator_and_apart_for_each_thread() {
        let burns = || Flex::int_random(Shape::from([1]), Distribution::Default, &FlexDevice, IntDType::U64);
        Device::flex().seed(7);
        let expected = burns().storage::<u64>()[0];
        seed_dropout(7);
        std::thread::spawn(|| (seed_dropout(8), draw())).join().unwrap();
        assert_eq!(draw(), expected);
    }

    #[test]
    fn dropout_drops_its_share_keeps_the_mean_and_stops_the_gradient() {
        for activation in [Activation::Relu, Activation::Tanh] {
            let mut linear = nn::LinearConfig::new(1, 400).init(&device());
            linear.weight = Param::from_tensor(Tensor::zeros([1, 400], &device()));
            linear.bias = Some(Param::from_tensor(Tensor::ones([400], &device())));
            let x = Tensor::ones([1000, 1], &device());
            let whole = if activation == Activation::Relu { 1.0 } else { 1.0_f32.tanh() };
            for share in [0.1, 0.5, 0.9] {
                let out = layer(&x, &linear, Some(activation), share).unwrap();
                let gradients = out.clone().sum().backward();
                let out = floats(out);
                let kept = out.iter().filter(|value| **value != 0.0).count() as f64 / out.len() as f64;
                // Five standard errors of 400,000 draws.
                assert!((kept - (1.0 - share)).abs() < 5.0 * (share * (1.0 - share) / 4e5).sqrt(), "{share}: {kept}");
                let scale = (1.0 / (1.0 - share)) as f32;
                assert!(out.iter().all(|value| *value == 0.0 || (value - whole * scale).abs() < 1e-5));
                // The bias of a unit moves the loss only through the rows that keep the unit.
                let of_bias = floats(linear.bias.as_ref().unwrap().val().grad(&gradients).unwrap());
                let slope = if activation == Activation::Relu { 1.0 } else { 1.0 - whole * whole };
                for (unit, found) in of_bias.iter().enumerate() {
                    let rows = (0..1000).filter(|row| out[row * 400 + unit] != 0.0).count();
                    assert_close(&[*found], &[rows as f32 * scale * slope], 1e-5, "bias");
                }
            }
        }
    }

    #[test]
    fn masks_of_two_passes_have_nothing_in_common() {
        let kept = |key: u64| {
            let mut mask = vec![0.0; 100_000];
            Mask::new(key, 0.5).fill(&mut mask, 100);
            mask
        };
        let (a, b) = (kept(1), kept(1 << 32));
        assert_eq!(a, kept(1));
        for shift in [0, 1, 100] {
            let equal = a[shift..].iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / (a.len() - shift) as f64;
            assert!((equal - 0.5).abs() < 0.01, "{equal}");
        }
    }

    #[test]
    fn loss_is_that_of_pytorch() {
        let logits = matrix([-30.0, -2.0, -0.1, 0.0, 0.7, 3.0, 40.0], 1).require_grad();
        let labels = Tensor::<1>::from_floats([0.0, 1.0, 0.0, 1.0, 0.25, 1.0, 0.0], &device());
        let loss = binary_cross_entropy(&logits, &labels).unwrap();
        let gradients = (loss.clone() * 2.0).backward();
        // PyTorch 2.15, double precision.
        assert_close(&floats(loss), &[6.348749], 1e-6, "loss");
        let wanted = [1.3368e-14, -0.12582815, 0.06786012, -0.07142857, 0.05974111, -0.006775125, 0.14285714];
        let found: Vec<f32> = floats(logits.grad(&gradients).unwrap()).iter().map(|value| value / 2.0).collect();
        assert_close(&found, &wanted, 1e-7, "gradient");
    }

    #[test]
    fn a_loss_that_is_lost_shows() {
        let (_, linear, _) = example();
        let x = matrix([f32::NAN, 0.0, 0.0], 3);
        for activation in ALL {
            let out = floats(layer(&x, &linear, Some(activation), 0.5).unwrap());
            assert!(out.iter().all(|value| value.is_nan()), "{activation:?}: {out:?}");
        }
    }
}
