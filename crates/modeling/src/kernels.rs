//! Loops over `f32` slices that the compiler turns into vector code, for the instruction set found at run time.
//!
//! Each loop works on blocks of rows whose size does not depend on the number of threads, and sums them in order: the
//! same numbers come out for any number of threads. No fused multiply-add is used, so neither does the instruction set matter.
//!
//! The closures given to `dispatch` begin by taking over a slice (`let block = block`). A closure that may be called twice is
//! called through a function that no `inline` reaches, and its loop would be compiled for the oldest of processors.
//! Places are counted with `wrapping_add`: a check for overflow would keep the loop from becoming vector code.

pub(crate) mod windows;

use pulp::Arch;
use rayon::prelude::*;

use crate::Activation;

/// Elements of a block: a few of them fit into a core's own cache.
const BLOCK: usize = 16_384;
/// Below this many elements waking up another thread costs more than it saves.
const WORTH_SHARING: usize = 65_536;
/// Slope of the leaky ReLU below 0.
pub(crate) const LEAK: f32 = 0.01;

/// Which units dropout keeps in one pass over a layer: a hash of the element's place, keyed by 64 random bits.
///
/// A counter in place of a generator's state: any element can be computed alone, in vector code and on any thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    key: [u32; 2],
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// Drops with probability `dropout` (0 <= dropout < 1) and scales what stays by `1 / (1 - dropout)`.
    pub(crate) fn new(key: u64, dropout: f64) -> Self {
        Self {
            key: [key as u32, (key >> 32) as u32],
            threshold: (dropout * 2.0_f64.powi(32)) as u32,
            scale: (1.0 / (1.0 - dropout)) as f32,
        }
    }

    /// 0, or the scale. The mixing steps are the 32-bit hash `lowbias32` by C. Wellons (2018), the second key word put
    /// between its rounds.
    #[inline(always)]
    fn factor(self, place: u32) -> f32 {
        let mut x = place.wrapping_add(self.key[0]);
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d) ^ self.key[1];
        x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        if x >= self.threshold { self.scale } else { 0.0 }
    }

    /// The factor of each element of a `[rows, columns]` matrix.
    pub(crate) fn fill(self, out: &mut [f32], columns: usize) {
        for_blocks(out, columns, |first, block| {
            let mask = self;
            Arch::new().dispatch(
                #[inline(always)]
                move || {
                    let mut place = first;
                    for value in block {
                        *value = mask.factor(place);
                        place = place.wrapping_add(1);
                    }
                },
            );
        });
    }
}

/// `out` `[rows, columns]` holds x W; it becomes dropout(activation(x W + bias)).
///
/// `slopes`, if given, gets the factor by which a change of x W changes the result.
pub(crate) fn finish_layer(
    out: &mut [f32],
    slopes: Option<&mut [f32]>,
    bias: &[f32],
    activation: Option<Activation>,
    mask: Option<Mask>,
) {
    match activation {
        None => masked(out, slopes, bias, identity, mask),
        Some(Activation::Relu) => masked(out, slopes, bias, relu, mask),
        Some(Activation::LeakyRelu) => masked(out, slopes, bias, leaky_relu, mask),
        Some(Activation::Gelu) => masked(out, slopes, bias, gelu, mask),
        Some(Activation::Silu) => masked(out, slopes, bias, silu, mask),
        Some(Activation::Tanh) => masked(out, slopes, bias, tanh, mask),
        Some(Activation::Elu) => masked(out, slopes, bias, elu, mask),
    }
}

/// One copy of the loop without dropout and one with it.
#[inline(always)]
fn masked<F>(out: &mut [f32], slopes: Option<&mut [f32]>, bias: &[f32], function: F, mask: Option<Mask>)
where
    F: Fn(f32) -> (f32, f32) + Copy + Send + Sync,
{
    match mask {
        None => activate(
            out,
            slopes,
            bias,
            function,
            #[inline(always)]
            |_| 1.0,
        ),
        Some(mask) => activate(
            out,
            slopes,
            bias,
            function,
            #[inline(always)]
            move |place| mask.factor(place),
        ),
    }
}

fn activate<F, M>(out: &mut [f32], slopes: Option<&mut [f32]>, bias: &[f32], function: F, factor: M)
where
    F: Fn(f32) -> (f32, f32) + Copy + Send + Sync,
    M: Fn(u32) -> f32 + Copy + Send + Sync,
{
    let columns = bias.len();
    let Some(slopes) = slopes else {
        return for_blocks(out, columns, |first, block| {
            Arch::new().dispatch(
                #[inline(always)]
                move || {
                    let block = block;
                    let mut place = first;
                    for values in block.chunks_exact_mut(columns) {
                        for (value, bias) in values.iter_mut().zip(bias) {
                            *value = function(*value + bias).0 * factor(place);
                            place = place.wrapping_add(1);
                        }
                    }
                },
            );
        });
    };
    for_block_pairs(out, slopes, [columns; 2], |first, block, slopes| {
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                let (block, slopes) = (block, slopes);
                let mut place = first;
                for (values, slopes) in block.chunks_exact_mut(columns).zip(slopes.chunks_exact_mut(columns)) {
                    for ((value, slope), bias) in values.iter_mut().zip(slopes).zip(bias) {
                        let kept = factor(place);
                        let (result, change) = function(*value + bias);
                        (*value, *slope) = (result * kept, change * kept);
                        place = place.wrapping_add(1);
                    }
                }
            },
        );
    });
}

/// How a layer's result follows its linear part, kept for the way back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slope<'a> {
    /// No activation and no dropout.
    One,
    /// ReLU with dropout: `scale` where the result is above 0, else 0.
    Sign {
        /// The layer's result.
        result: &'a [f32],
        /// `1 / (1 - dropout)`
        scale: f32,
    },
    /// Any other.
    Values(&'a [f32]),
}

/// Turns the gradient of a layer's result into that of its linear part, in place, and gives the bias' gradient: the sum
/// over rows. `gradient` `[rows, columns]`
pub(crate) fn unfinish_layer(gradient: &mut [f32], columns: usize, slope: Slope) -> Vec<f32> {
    let length = block_length(columns);
    let mut sums = vec![0.0; gradient.len().div_ceil(length) * columns];
    let one = |(index, (block, sums)): (usize, (&mut [f32], &mut [f32]))| {
        let here = index * length..index * length + block.len();
        match slope {
            Slope::One => sum_rows(block, sums),
            Slope::Sign { result, scale } => {
                scale_and_sum(
                    block,
                    &result[here],
                    sums,
                    move |gradient, y| if y > 0.0 { gradient * scale } else { 0.0 },
                );
            }
            Slope::Values(slopes) => scale_and_sum(
                block,
                &slopes[here],
                sums,
                #[inline(always)]
                |gradient, slope| gradient * slope,
            ),
        }
    };
    if is_worth_sharing(gradient.len()) {
        gradient.par_chunks_mut(length).zip(sums.par_chunks_mut(columns)).enumerate().for_each(one);
    } else {
        gradient.chunks_mut(length).zip(sums.chunks_mut(columns)).enumerate().for_each(one);
    }
    let mut total = vec![0.0; columns];
    for sums in sums.chunks_exact(columns) {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    total
}

/// Multiplies a block of gradients by what `change` makes of `by`, and adds up its rows.
#[inline(always)]
fn scale_and_sum<F>(block: &mut [f32], by: &[f32], sums: &mut [f32], change: F)
where
    F: Fn(f32, f32) -> f32 + Copy,
{
    let columns = sums.len();
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let (block, sums) = (block, sums);
            for (row, by) in block.chunks_exact_mut(columns).zip(by.chunks_exact(columns)) {
                for ((gradient, by), sum) in row.iter_mut().zip(by).zip(sums.iter_mut()) {
                    *gradient = change(*gradient, *by);
                    *sum += *gradient;
                }
            }
        },
    );
}

/// Adds up the rows of a matrix.
fn sum_rows(block: &[f32], sums: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let sums = sums;
            for row in block.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        },
    );
}

/// Mean of `max(x, 0) - x y + log(1 + exp(-|x|))`, the binary cross-entropy of logits `x` for labels `y`, and its
/// gradient `(sigmoid(x) - y) / n`, written over the logits.
pub(crate) fn binary_cross_entropy(logits: &mut [f32], labels: &[f32]) -> f32 {
    let share = 1.0 / logits.len() as f32;
    let mut sum = 0.0_f64;
    for (logit, label) in logits.iter_mut().zip(labels) {
        let (x, small) = (*logit, (-logit.abs()).exp());
        sum += f64::from(x.max(0.0) - x * label + small.ln_1p());
        let sigmoid = if x >= 0.0 { 1.0 } else { small } / (1.0 + small);
        *logit = (sigmoid - label) * share;
    }
    (sum / logits.len() as f64) as f32
}

/// Elements in a block of whole rows.
fn block_length(columns: usize) -> usize {
    (BLOCK / columns).max(1) * columns
}

fn is_worth_sharing(length: usize) -> bool {
    length >= WORTH_SHARING && rayon::current_num_threads() > 1
}

/// Calls `work` with each block of whole rows and the place of its first element.
fn for_blocks(values: &mut [f32], columns: usize, work: impl Fn(u32, &mut [f32]) + Send + Sync) {
    let length = block_length(columns);
    let one = |(index, block): (usize, &mut [f32])| work(index.wrapping_mul(length) as u32, block);
    if is_worth_sharing(values.len()) {
        values.par_chunks_mut(length).enumerate().for_each(one);
    } else {
        values.chunks_mut(length).enumerate().for_each(one);
    }
}

/// The same with two matrices of as many rows; the place is that in the left one.
fn for_block_pairs(
    left: &mut [f32],
    right: &mut [f32],
    columns: [usize; 2],
    work: impl Fn(u32, &mut [f32], &mut [f32]) + Send + Sync,
) {
    let length = block_length(columns[0]);
    let right_length = length / columns[0] * columns[1];
    let one = |(index, (left, right)): (usize, (&mut [f32], &mut [f32]))| {
        work(index.wrapping_mul(length) as u32, left, right);
    };
    if is_worth_sharing(left.len()) {
        left.par_chunks_mut(length).zip(right.par_chunks_mut(right_length)).enumerate().for_each(one);
    } else {
        left.chunks_mut(length).zip(right.chunks_mut(right_length)).enumerate().for_each(one);
    }
}

// Activations: the value and its derivative, without branches or calls, so that the loops above become vector code.

#[inline(always)]
fn identity(x: f32) -> (f32, f32) {
    (x, 1.0)
}

/// Lets NaN through, so that a training that went wrong is noticed.
#[inline(always)]
fn relu(x: f32) -> (f32, f32) {
    (if x < 0.0 { 0.0 } else { x }, if x > 0.0 { 1.0 } else { 0.0 })
}

#[inline(always)]
fn leaky_relu(x: f32) -> (f32, f32) {
    let slope = if x < 0.0 { LEAK } else { 1.0 };
    (x * slope, slope)
}

/// `x Phi(x)` with the error function by Abramowitz and Stegun, 7.1.26 (absolute error below 1.5e-7).
#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    const INVERSE_SQRT_2PI: f32 = 0.398_942_3;
    let bell = expm1(-0.5 * x * x) + 1.0;
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let tail = t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
    // Half of 1 - erf(|x| / sqrt 2): the probability beyond |x|.
    let beyond = 0.5 * tail * bell;
    let below = if x < 0.0 { beyond } else { 1.0 - beyond };
    (x * below, below + x * bell * INVERSE_SQRT_2PI)
}

#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let sigmoid = 1.0 / (2.0 + expm1(-x));
    (x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid)))
}

#[inline(always)]
fn tanh(x: f32) -> (f32, f32) {
    // Beyond 10 the result is 1 in f32, and the quotient below stays finite.
    let doubled = expm1((2.0 * x).clamp(-20.0, 20.0));
    let result = doubled / (doubled + 2.0);
    (result, 1.0 - result * result)
}

#[inline(always)]
fn elu(x: f32) -> (f32, f32) {
    let below = expm1(x.min(0.0));
    if x < 0.0 { (below, below + 1.0) } else { (x, 1.0) }
}

/// `exp(x) - 1` to 2 units in the last place for x in -87..88, held at the ends outside: `2^n exp(r) - 1` with `r` within half
/// of log 2 and the polynomial of Cephes' `expf`.
#[inline(always)]
fn expm1(x: f32) -> f32 {
    /// Adding and subtracting 1.5 * 2^23 rounds to a whole number.
    const ROUNDER: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let series =
        ((((1.987_569_1e-4 * r + 1.398_2e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1) * r;
    let p = (series + 0.5) * r * r + r;
    let power =
        f32::from_bits((shifted.to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32 - 127).wrapping_shl(23) as u32);
    power * p + (power - 1.0)
}
