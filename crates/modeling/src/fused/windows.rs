//! What surrounds a forecaster's layers, each in one pass over memory: instance norm and back, moving average, loss.
//! As in the parent module, every function says `None` where this build has no fused form.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::nn;
use burn::tensor::{DType, Shape, Tensor, TensorData};

use super::{Follows, Plan, Tracked, is_cpu, own, plain, single, values};
use crate::Activation;
use crate::forecaster::{Affine, Centre, EPSILON, ForecastLoss, Taken};
use crate::kernels::windows as kernels;

/// `[rows, L]` -> the same around 0, and what was taken out, through which no gradient goes.
pub(crate) fn standardise(x: &Tensor<2>, centre: Centre) -> Option<(Tensor<2>, Taken)> {
    if !is_cpu(&x.device()) {
        return None;
    }
    let [rows, columns] = x.dims();
    let (numbers, node) = parts(x)?;
    let (mut out, mut taken) = (own(numbers), vec![0.0; 2 * rows]);
    kernels::standardise(out.storage_mut(), columns, centre, &mut taken);
    let (shift, factor): (Vec<f32>, Vec<f32>) = taken.as_chunks::<2>().0.iter().map(|[a, b]| (*a, *b)).unzip();
    let factors = || factor.iter().map(|factor| 1.0 / factor).collect();
    let out = finish_scaled(out, node, factors);
    let column = |numbers| Tensor::from_data(TensorData::new(numbers, [rows, 1]), &x.device());
    Some((out, Taken { shift: column(shift), factor: column(factor) }))
}

/// The way back for forecasts `[rows, N]`: `(x - bias) / (weight + epsilon^2) * factor + shift`, row r having the
/// affine map of target r mod T.
pub(crate) fn restore(x: &Tensor<2>, taken: &Taken, affine: Option<&Affine>) -> Option<Tensor<2>> {
    let (shift, factor) = (plain(&taken.shift)?, plain(&taken.factor)?);
    let (shift, factor) = (values(&shift), values(&factor));
    let [_, columns] = x.dims();
    let (x, node) = parts(x)?;
    let Some(affine) = affine else {
        let lines: Vec<[f32; 2]> = factor.iter().zip(shift).map(|(factor, shift)| [*factor, *shift]).collect();
        let mut out = own(x);
        kernels::scale_rows(out.storage_mut(), columns, &lines);
        return Some(finish_scaled(out, node, || factor.to_vec()));
    };
    let ((weight, weight_node), (bias, bias_node)) = (parts(&affine.weight.val())?, parts(&affine.bias.val())?);
    let (weight, bias) = (values(&weight).to_vec(), values(&bias).to_vec());
    let targets = (0..weight.len()).cycle();
    let lines = targets.zip(factor).zip(shift).map(|((target, factor), shift)| {
        let factor = factor / (weight[target] + EPSILON * EPSILON);
        [factor, shift - bias[target] * factor]
    });
    let lines: Vec<[f32; 2]> = lines.collect();
    let mut out = own(x.clone());
    kernels::scale_rows(out.storage_mut(), columns, &lines);
    let (Some(node), Some(weight_node), Some(bias_node)) = (node, weight_node, bias_node) else {
        return Some(Tensor::from_primitive::<Flex>(out));
    };
    let nodes = [node, weight_node, bias_node];
    let out = match RestoreBackward.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let factors = lines.into_iter().map(|[factor, _]| factor).collect();
            prepared.finish(Restored { x, factors, weight, bias }, out)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(out),
    };
    Some(Tensor::from_primitive::<Tracked>(out))
}

/// The first layer of a forecaster, dropout(activation((a x + b) W + bias + extra)): a and b are RevIN's affine map of
/// the row's target (if there is one), `extra` `[B, outputs]` (if given) is one row for all rows of a window.
///
/// Computed as a (x W) + b (sum of W's rows), the affine map needs no pass over x, and its gradient no gradient of x:
/// one of the three large products of the layer is never made.
pub(crate) fn first_layer(
    x: &Tensor<2>,
    affine: Option<&Affine>,
    extra: Option<&Tensor<2>>,
    linear: &nn::Linear,
    activation: Option<Activation>,
    dropout: f64,
) -> Option<Tensor<2>> {
    if !is_cpu(&x.device()) {
        return None;
    }
    if affine.is_none() && extra.is_none() {
        return super::layer(x, linear, activation, dropout);
    }
    let ([rows, _], [_, columns]) = (x.dims(), linear.weight.dims());
    let device = x.device();
    // What is not there is a constant that changes nothing.
    let [factor, share] = match affine {
        Some(affine) => [affine.weight.val(), affine.bias.val()],
        None => [Tensor::ones([1], &device), Tensor::zeros([1], &device)],
    };
    let extra = extra.cloned().unwrap_or_else(|| Tensor::zeros([1, columns], &device));
    let ((x, x_node), (weight, weight_node)) = (parts(x)?, parts(&linear.weight.val())?);
    let ((bias, bias_node), (extra, extra_node)) = (parts(&linear.bias.as_ref()?.val())?, parts(&extra)?);
    let ((factor, factor_node), (share, share_node)) = (parts(&factor)?, parts(&share)?);
    let lines = values(&factor).iter().zip(values(&share)).map(|(factor, share)| [*factor, *share]);
    let lines: Vec<[f32; 2]> = lines.cycle().take(rows).collect();
    let row = kernels::column_sums(values(&weight), columns);
    let product = Flex::float_matmul(x.clone(), weight.clone());
    let mut mixed = product.clone();
    kernels::mix_rows(mixed.storage_mut(), &lines, &row, values(&extra));
    let plan = Plan { activation, dropout };
    let nodes = [x_node, weight_node, bias_node, extra_node, factor_node, share_node];
    let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f)] = nodes else {
        return Some(Tensor::from_primitive::<Flex>(plan.finish(mixed, &bias, false).0));
    };
    let prepared = FirstLayerBackward.prepare::<NoCheckpointing>([a, b, c, d, e, f]).compute_bound().stateful();
    let out = match prepared {
        OpsKind::Tracked(prepared) => {
            let (out, follows) = plan.finish(mixed, &bias, true);
            let (targets, n_extra) = (factor.layout().num_elements(), extra.layout().shape()[0]);
            prepared.finish(FirstLayer { x, weight, product, row, lines, targets, n_extra, follows }, out)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(plan.finish(mixed, &bias, false).0),
    };
    Some(Tensor::from_primitive::<Tracked>(out))
}

#[derive(Debug, Clone)]
struct FirstLayer {
    x: FlexTensor,
    weight: FlexTensor,
    /// x W
    product: FlexTensor,
    /// The sum of W's rows.
    row: Vec<f32>,
    /// By row of x: the affine map.
    lines: Vec<[f32; 2]>,
    /// Affine maps.
    targets: usize,
    /// Rows of `extra`.
    n_extra: usize,
    follows: Follows,
}

#[derive(Debug)]
struct FirstLayerBackward;

impl Backward<Flex, 6> for FirstLayerBackward {
    type State = FirstLayer;

    fn backward(self, ops: Ops<FirstLayer, 6>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = own(gradients.consume::<Flex>(&ops.node));
        let [x_node, weight_node, bias_node, extra_node, factor_node, share_node] = ops.parents;
        let FirstLayer { x, weight, product, row, lines, targets, n_extra, follows } = ops.state;
        let columns = row.len();
        let of_bias = super::kernels::unfinish_layer(gradient.storage_mut(), columns, follows.slope());
        let unmixed = kernels::unmix_rows(gradient.storage_mut(), values(&product), &lines, &row, n_extra);
        let (mut of_factor, mut of_share) = (vec![0.0; targets], vec![0.0; targets]);
        for (index, [factor, share]) in unmixed.lines.into_iter().enumerate() {
            of_factor[index % targets] += factor;
            of_share[index % targets] += share;
        }
        let of_extra = TensorData::new(unmixed.extra, [n_extra, columns]);
        let [of_bias, of_factor, of_share] =
            [of_bias, of_factor, of_share].map(|numbers| TensorData::from(numbers.as_slice()));
        let small = [(bias_node, of_bias), (extra_node, of_extra), (factor_node, of_factor), (share_node, of_share)];
        for (node, numbers) in small {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, FlexTensor::from_data(numbers));
            }
        }
        if let Some(node) = weight_node {
            let mut of_weight = Flex::float_matmul(x.transpose(0, 1), gradient.clone());
            kernels::add_to_rows(of_weight.storage_mut(), &unmixed.row);
            gradients.register::<Flex>(node.id, of_weight);
        }
        if let Some(node) = x_node {
            gradients.register::<Flex>(node.id, Flex::float_matmul(gradient, weight.transpose(0, 1)));
        }
    }
}

/// What the moving average of `steps` values leaves, and the average, of `[rows, L]`. `None` too if a gradient of `x`
/// will be asked for.
pub(crate) fn split_trend(x: &Tensor<2>, steps: usize) -> Option<(Tensor<2>, Tensor<2>)> {
    if !is_cpu(&x.device()) {
        return None;
    }
    let ([_, columns], is_autodiff) = (x.dims(), x.device().is_autodiff());
    let (numbers, node) = parts(x)?;
    let is_tracked = |node| {
        let prepared = ScaleBackward.prepare::<NoCheckpointing>([node]).compute_bound().stateful();
        matches!(prepared, OpsKind::Tracked(_))
    };
    if node.is_some_and(is_tracked) {
        return None;
    }
    let mut trend = FlexTensor::empty(Shape::from(x.dims()), DType::F32);
    let mut rest = own(numbers);
    kernels::split_trend(rest.storage_mut(), trend.storage_mut(), columns, steps);
    let [rest, trend] = [rest, trend].map(|tensor| {
        let tensor = Tensor::from_primitive::<Flex>(tensor);
        if is_autodiff { tensor.autodiff() } else { tensor }
    });
    Some((rest, trend))
}

/// Mean loss of `output` `[rows, Q * H]` for `target` `[rows, H]`.
pub(crate) fn forecast_loss(output: &Tensor<2>, target: &Tensor<2>, loss: ForecastLoss) -> Option<Tensor<1>> {
    let [rows, steps] = target.dims();
    let levels = if let ForecastLoss::Pinball(levels) = loss { levels.len() } else { 1 };
    if output.dims() != [rows, levels * steps] {
        // burn's operations say what is wrong.
        return None;
    }
    super::loss(output, target, |output, target| kernels::forecast_loss(output, target, steps, loss))
}

/// The numbers row by row, and the place in the graph on an autodiff device.
fn parts<const D: usize>(x: &Tensor<D>) -> Option<(FlexTensor, Option<NodeGuard>)> {
    if !x.device().is_autodiff() {
        return Some((plain(x)?, None));
    }
    let (x, node) = x.clone().try_into_primitive::<Tracked>().ok()?.into_parts();
    Some((single(x)?, Some(node)))
}

/// Puts the result of an operation that multiplied each row by its factor into the graph.
fn finish_scaled(out: FlexTensor, node: Option<NodeGuard>, factors: impl FnOnce() -> Vec<f32>) -> Tensor<2> {
    let Some(node) = node else { return Tensor::from_primitive::<Flex>(out) };
    let out = match ScaleBackward.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(factors(), out),
        OpsKind::UnTracked(prepared) => prepared.finish(out),
    };
    Tensor::from_primitive::<Tracked>(out)
}

/// The state is each row's factor.
#[derive(Debug)]
struct ScaleBackward;

impl Backward<Flex, 1> for ScaleBackward {
    type State = Vec<f32>;

    fn backward(self, ops: Ops<Vec<f32>, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = own(gradients.consume::<Flex>(&ops.node));
        multiply_rows(&mut gradient, &ops.state);
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

fn multiply_rows(x: &mut FlexTensor, factors: &[f32]) {
    let columns = x.layout().shape()[1];
    let lines: Vec<[f32; 2]> = factors.iter().map(|factor| [*factor, 0.0]).collect();
    kernels::scale_rows(x.storage_mut(), columns, &lines);
}

#[derive(Debug, Clone)]
struct Restored {
    /// What was restored.
    x: FlexTensor,
    /// By row: what the gradient is multiplied by.
    factors: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct RestoreBackward;

impl Backward<Flex, 3> for RestoreBackward {
    type State = Restored;

    fn backward(self, ops: Ops<Restored, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = own(gradients.consume::<Flex>(&ops.node));
        let [x_node, weight_node, bias_node] = ops.parents;
        let Restored { x, factors, weight, bias } = ops.state;
        let columns = x.layout().shape()[1];
        let (mut of_weight, mut of_bias) = (vec![0.0; weight.len()], vec![0.0; weight.len()]);
        let sums = kernels::row_sums(gradient.storage(), values(&x), columns);
        for (row, ([sum, by_x], factor)) in sums.into_iter().zip(&factors).enumerate() {
            let target = row % weight.len();
            of_bias[target] -= sum * factor;
            of_weight[target] -= (by_x - bias[target] * sum) * factor / (weight[target] + EPSILON * EPSILON);
        }
        for (node, numbers) in [(weight_node, of_weight), (bias_node, of_bias)] {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, FlexTensor::from_data(TensorData::from(numbers.as_slice())));
            }
        }
        if let Some(node) = x_node {
            multiply_rows(&mut gradient, &factors);
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}
