//! Loops over windows of series: a row is one window of one target.

use pulp::Arch;

use super::{for_block_pairs, sum_rows};
use crate::forecaster::{Centre, EPSILON, ForecastLoss};

/// Numbers in a vector register of 512 bits.
const LANES: usize = 16;

/// Sum of `term` over two rows of one length, in sixteen sums side by side.
#[inline(always)]
fn sum_of(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (left, right) in left.iter().zip(right) {
        sums.iter_mut().zip(left.iter().zip(right)).for_each(|(sum, (a, b))| *sum += term(*a, *b));
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| term(*a, *b)).sum();
    sums.iter().sum::<f32>() + rest
}

/// Takes mean and deviation, or the last value, out of each row of `x` `[rows, columns]`, in place.
///
/// `taken` `[rows, 2]` gets shift and factor: x was shift + factor * result.
pub(crate) fn standardise(x: &mut [f32], columns: usize, centre: Centre, taken: &mut [f32]) {
    for_block_pairs(x, taken, [columns, 2], |_, x, taken| {
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                let (x, taken) = (x, taken);
                for (row, taken) in x.chunks_exact_mut(columns).zip(taken.as_chunks_mut::<2>().0) {
                    let (shift, factor) = match centre {
                        Centre::Last => (row[columns - 1], 1.0),
                        Centre::Mean => {
                            let share = 1.0 / columns as f32;
                            let mean = sum_of(row, row, |x, _| x) * share;
                            let variance = sum_of(row, row, |x, _| (x - mean) * (x - mean)) * share;
                            (mean, (variance + EPSILON).sqrt())
                        }
                    };
                    *taken = [shift, factor];
                    let inverse = 1.0 / factor;
                    row.iter_mut().for_each(|x| *x = (*x - shift) * inverse);
                }
            },
        );
    });
}

/// Each row of `values` `[rows, columns]` times its factor plus its shift: `lines` `[rows]` holds both.
pub(crate) fn scale_rows(values: &mut [f32], columns: usize, lines: &[[f32; 2]]) {
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let values = values;
            for (row, [factor, shift]) in values.chunks_exact_mut(columns).zip(lines) {
                row.iter_mut().for_each(|value| *value = *value * factor + shift);
            }
        },
    );
}

/// The sum of all rows of a matrix.
pub(crate) fn column_sums(matrix: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    sum_rows(matrix, &mut sums);
    sums
}

/// Adds one row to each row of a matrix.
pub(crate) fn add_to_rows(matrix: &mut [f32], row: &[f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let matrix = matrix;
            for values in matrix.chunks_exact_mut(row.len()) {
                values.iter_mut().zip(row).for_each(|(value, x)| *value += x);
            }
        },
    );
}

/// Each row of `values` times its factor, plus its share of `row` (`lines` holds both), plus its window's row of
/// `extra`: as many rows one after the other have one window.
pub(crate) fn mix_rows(values: &mut [f32], lines: &[[f32; 2]], row: &[f32], extra: &[f32]) {
    let rows_of_window = values.len() / extra.len();
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let values = values;
            for (index, (values, [factor, share])) in values.chunks_exact_mut(row.len()).zip(lines).enumerate() {
                let extra = &extra[index / rows_of_window * row.len()..][..row.len()];
                for ((value, x), extra) in values.iter_mut().zip(row).zip(extra) {
                    *value = *value * factor + (x * share + extra);
                }
            }
        },
    );
}

/// Gradients of what [`mix_rows`] took.
pub(crate) struct Unmixed {
    /// By row: of factor and share.
    pub lines: Vec<[f32; 2]>,
    pub row: Vec<f32>,
    pub extra: Vec<f32>,
}

/// The way back of [`mix_rows`]: turns the gradient of the result into that of `values`, in place. `n_extra`: rows of
/// `extra`.
pub(crate) fn unmix_rows(
    gradient: &mut [f32],
    values: &[f32],
    lines: &[[f32; 2]],
    row: &[f32],
    n_extra: usize,
) -> Unmixed {
    let columns = row.len();
    let (mut of_row, mut of_extra) = (vec![0.0; columns], vec![0.0; n_extra * columns]);
    let mut of_lines = vec![[0.0; 2]; lines.len()];
    let rows_of_window = lines.len() / n_extra;
    let (row_out, extra_out, lines_out) = (&mut of_row, &mut of_extra, &mut of_lines);
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let (gradient, row_out, extra_out, lines_out) = (gradient, row_out, extra_out, lines_out);
            let rows = gradient.chunks_exact_mut(columns).zip(values.chunks_exact(columns)).zip(lines);
            for (index, (((gradient, values), [factor, share]), line_out)) in rows.zip(lines_out.iter_mut()).enumerate()
            {
                *line_out = [sum_of(gradient, values, |g, x| g * x), sum_of(gradient, row, |g, x| g * x)];
                let extra_out = &mut extra_out[index / rows_of_window * columns..][..columns];
                for ((gradient, row), extra) in gradient.iter_mut().zip(row_out.iter_mut()).zip(extra_out) {
                    *extra += *gradient;
                    *row += share * *gradient;
                    *gradient *= factor;
                }
            }
        },
    );
    Unmixed { lines: of_lines, row: of_row, extra: of_extra }
}

/// For each row the sum of the gradient and of its product with `x`. `[rows, columns]` both
pub(crate) fn row_sums(gradient: &[f32], x: &[f32], columns: usize) -> Vec<[f32; 2]> {
    let mut sums = vec![[0.0; 2]; gradient.len() / columns];
    let out = &mut sums;
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let out = out;
            for ((gradient, x), sums) in gradient.chunks_exact(columns).zip(x.chunks_exact(columns)).zip(out.iter_mut())
            {
                *sums = [sum_of(gradient, gradient, |g, _| g), sum_of(gradient, x, |g, x| g * x)];
            }
        },
    );
    sums
}

/// Splits `rest` `[rows, columns]` in place: `trend` gets the mean of `steps` (odd) values around each, the first and
/// the last value of a row being repeated beyond its ends.
///
/// A sum of 25 values is one of 16, one of 8 and one of 1, each being twice a sum of half its length: vector code, and
/// no running sum that drifts.
pub(crate) fn split_trend(rest: &mut [f32], trend: &mut [f32], columns: usize, steps: usize) {
    for_block_pairs(rest, trend, [columns, columns], |_, rest, trend| {
        let mut padded = vec![0.0_f32; columns + steps - 1];
        let mut doubled = padded.clone();
        let (padded, doubled) = (&mut padded, &mut doubled);
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                let (rest, trend, mut sums, mut next) = (rest, trend, padded.as_mut_slice(), doubled.as_mut_slice());
                let share = 1.0 / steps as f32;
                for (rest, trend) in rest.chunks_exact_mut(columns).zip(trend.chunks_exact_mut(columns)) {
                    let before = steps / 2;
                    sums[..before].fill(rest[0]);
                    sums[before..before + columns].copy_from_slice(rest);
                    sums[before + columns..].fill(rest[columns - 1]);
                    trend.fill(0.0);
                    // `sums` holds at each place the sum of `length` values from there on; `done` have been added up.
                    let (mut length, mut done, mut valid) = (1, 0, sums.len());
                    loop {
                        if steps & length != 0 {
                            trend.iter_mut().zip(&sums[done..]).for_each(|(trend, sum)| *trend += sum);
                            done += length;
                        }
                        if done == steps {
                            break;
                        }
                        valid -= length;
                        let pairs = sums[..valid].iter().zip(&sums[length..]);
                        next.iter_mut().zip(pairs).for_each(|(next, (a, b))| *next = a + b);
                        std::mem::swap(&mut sums, &mut next);
                        length *= 2;
                    }
                    for (rest, trend) in rest.iter_mut().zip(trend) {
                        *trend *= share;
                        *rest -= *trend;
                    }
                }
            },
        );
    });
}

/// Mean loss of `output` `[rows, quantiles * steps]` for `target` `[rows, steps]`; its gradient is written over the
/// output.
pub(crate) fn forecast_loss(output: &mut [f32], target: &[f32], steps: usize, loss: ForecastLoss) -> f32 {
    match loss {
        ForecastLoss::Squared => loss_of(
            output,
            target,
            steps,
            &[0.5],
            #[inline(always)]
            |_, e| (e * e, 2.0 * e),
        ),
        ForecastLoss::Absolute => loss_of(
            output,
            target,
            steps,
            &[0.5],
            #[inline(always)]
            |_, e| (e.abs(), sign(e)),
        ),
        ForecastLoss::Huber(delta) => loss_of(
            output,
            target,
            steps,
            &[0.5],
            #[inline(always)]
            move |_, e| {
                // Up to delta both are e: e^2 / 2. Beyond: delta * (|e| - delta / 2).
                let near = e.clamp(-delta, delta);
                (near * (e - 0.5 * near), near)
            },
        ),
        ForecastLoss::Pinball(levels) => loss_of(
            output,
            target,
            steps,
            levels,
            #[inline(always)]
            |level, e| {
                let slope = if e > 0.0 { 1.0 - level } else { -level };
                (slope * e, slope)
            },
        ),
    }
}

#[inline(always)]
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// `loss` gives value and slope for a level and the error forecast - target.
fn loss_of<F>(output: &mut [f32], target: &[f32], steps: usize, levels: &[f64], loss: F) -> f32
where
    F: Fn(f32, f32) -> (f32, f32) + Copy,
{
    let count = output.len();
    let sum = Arch::new().dispatch(
        #[inline(always)]
        move || {
            let output = output;
            let (share, mut total) = (1.0 / count as f32, 0.0_f64);
            for (outputs, target) in output.chunks_exact_mut(levels.len() * steps).zip(target.chunks_exact(steps)) {
                for (output, level) in outputs.chunks_exact_mut(steps).zip(levels) {
                    total += f64::from(loss_of_row(output, target, *level as f32, share, loss));
                }
            }
            total
        },
    );
    (sum / count as f64) as f32
}

#[inline(always)]
fn loss_of_row<F>(output: &mut [f32], target: &[f32], level: f32, share: f32, loss: F) -> f32
where
    F: Fn(f32, f32) -> (f32, f32) + Copy,
{
    let step = |output: &mut f32, target: f32| {
        let (value, slope) = loss(level, *output - target);
        *output = slope * share;
        value
    };
    let ((output, output_rest), (target, target_rest)) = (output.as_chunks_mut::<LANES>(), target.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (output, target) in output.iter_mut().zip(target) {
        sums.iter_mut().zip(output.iter_mut().zip(target)).for_each(|(sum, (o, t))| *sum += step(o, *t));
    }
    let rest: f32 = output_rest.iter_mut().zip(target_rest).map(|(o, t)| step(o, *t)).sum();
    sums.iter().sum::<f32>() + rest
}
