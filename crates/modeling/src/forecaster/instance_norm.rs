//! Mean and deviation, or the last value, taken out of each row and given back to its forecast.
//!
//! RevIN is Kim et al. 2022 as in its authors' code: population variance, epsilon 1e-5, no gradient through mean and
//! deviation, and the inverse of the affine map divides by `weight + epsilon^2`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::fused::windows;

/// Added to the variance.
pub(crate) const EPSILON: f32 = 1e-5;

/// What is taken out of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Centre {
    /// The mean; what is left is divided by its standard deviation.
    Mean,
    /// The last value.
    Last,
}

#[derive(Module, Debug)]
pub(crate) struct InstanceNormalization {
    #[module(skip)]
    centre: Centre,
    affine: Option<Affine>,
}

/// A factor and a shift for each target.
#[derive(Module, Debug)]
pub(crate) struct Affine {
    /// `[T]`
    pub weight: Param<Tensor<1>>,
    /// `[T]`
    pub bias: Param<Tensor<1>>,
}

/// What was taken out, without a gradient.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// `[rows, 1]`
    pub shift: Tensor<2>,
    /// `[rows, 1]`, above 0.
    pub factor: Tensor<2>,
}

impl InstanceNormalization {
    pub fn new(centre: Centre, has_affine: bool, targets: usize, device: &Device) -> Self {
        let affine = has_affine.then(|| Affine {
            weight: Param::from_tensor(Tensor::ones([targets], device)),
            bias: Param::from_tensor(Tensor::zeros([targets], device)),
        });
        Self { centre, affine }
    }

    /// `[rows, L]` -> the same around 0, without the affine map, and what was taken out
    pub fn take_out(&self, x: Tensor<2>) -> (Tensor<2>, Taken) {
        windows::standardise(&x, self.centre).unwrap_or_else(|| take_out_in_steps(x, self.centre))
    }

    /// `[rows, L]`, row r being target r mod T
    pub fn apply_affine(&self, x: Tensor<2>) -> Tensor<2> {
        self.affine.as_ref().map_or(x.clone(), |affine| affine.apply(x))
    }

    /// The inverse of both, for forecasts `[rows, N]`.
    pub fn put_back(&self, x: Tensor<2>, taken: &Taken) -> Tensor<2> {
        windows::restore(&x, taken, self.affine.as_ref()).unwrap_or_else(|| {
            let x = self.affine.as_ref().map_or(x.clone(), |affine| affine.invert(x));
            x * taken.factor.clone() + taken.shift.clone()
        })
    }
}

/// [`InstanceNormalization::take_out`] with burn's operations.
fn take_out_in_steps(x: Tensor<2>, centre: Centre) -> (Tensor<2>, Taken) {
    let [rows, length] = x.dims();
    if centre == Centre::Last {
        let shift = x.clone().slice([0..rows, length - 1..length]).detach();
        return (x - shift.clone(), Taken { factor: shift.ones_like(), shift });
    }
    let shift = x.clone().mean_dim(1).detach();
    let centred = x - shift.clone();
    let factor = centred.clone().square().mean_dim(1).add_scalar(EPSILON).sqrt().detach();
    (centred / factor.clone(), Taken { shift, factor })
}

impl Affine {
    fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        for_targets(x, weight.dims()[0], |x| x * weight.reshape([1, -1, 1]) + bias.reshape([1, -1, 1]))
    }

    fn invert(&self, x: Tensor<2>) -> Tensor<2> {
        let weight = self.weight.val().add_scalar(EPSILON * EPSILON);
        let bias = self.bias.val();
        for_targets(x, weight.dims()[0], |x| (x - bias.reshape([1, -1, 1])) / weight.reshape([1, -1, 1]))
    }
}

/// Lets `work` see `[rows, N]` as `[B, T, N]`.
fn for_targets(x: Tensor<2>, targets: usize, work: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<2> {
    let [rows, length] = x.dims();
    work(x.reshape([rows / targets, targets, length])).reshape([rows, length])
}
