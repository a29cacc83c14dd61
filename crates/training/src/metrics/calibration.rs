//! Metrics of the probabilities themselves.

use super::{Kind, Predictions, Scored, argmax};

const ECE_BINS: usize = 15;

/// Mean of -log(probability of the true class); probabilities are clipped at the resolution of `f32`.
pub(super) fn log_loss(s: &Scored) -> f64 {
    let (p, columns) = (&s.rows, s.rows.columns());
    let clip = |probability: f64| probability.clamp(f64::from(f32::EPSILON), 1.0 - f64::from(f32::EPSILON));
    let of_row = |(row, &class): (usize, &f32)| match p.kind {
        Kind::Multiclass => -clip(f64::from(p.predicted[row * columns + class as usize])).ln(),
        _ if class == 1.0 => -clip(f64::from(p.predicted[row])).ln(),
        _ => -clip(1.0 - f64::from(p.predicted[row])).ln(),
    };
    p.target.iter().enumerate().map(of_row).sum::<f64>() / p.n_rows()
}

/// Mean squared distance of the probabilities from the truth (Brier 1950): of the one probability for two classes (0 to
/// 1), summed over all classes for more (0 to 2), as scikit-learn's `scale_by_half="auto"`.
pub(super) fn brier(s: &Scored) -> f64 {
    let p = &s.rows;
    let columns = p.columns();
    let squared = |(index, &probability): (usize, &f32)| {
        let target = p.target[index / columns];
        let truth = if p.kind == Kind::Binary { target } else { f32::from(target as usize == index % columns) };
        (f64::from(probability) - f64::from(truth)).powi(2)
    };
    p.predicted.iter().enumerate().map(squared).sum::<f64>() / p.n_rows()
}

/// Expected calibration error (Guo et al., arXiv 1706.04599): distance between mean probability and observed share in 15
/// bins of equal width, weighted by their rows. Two classes: of the probability of class 1; more: of the most probable
/// class being the true one.
pub(super) fn expected_calibration_error(s: &Scored) -> f64 {
    let p = &s.rows;
    let distance = |bin: CalibrationBin| bin.count as f64 * (bin.predicted - bin.observed).abs();
    let bins = if p.kind == Kind::Binary {
        calibration_curve(p.target, p.predicted, ECE_BINS)
    } else {
        let (right, confidence) = most_probable(p);
        calibration_curve(&right, &confidence, ECE_BINS)
    };
    bins.into_iter().map(distance).sum::<f64>() / p.n_rows()
}

/// Whether the most probable class of each row is right (0 or 1), and its probability.
fn most_probable(p: &Predictions) -> (Vec<f32>, Vec<f32>) {
    let of_row = |(row, &target): (&[f32], &f32)| {
        let class = argmax(row);
        (f32::from(class == target as usize), row[class])
    };
    p.predicted.chunks(p.columns()).zip(p.target).map(of_row).unzip()
}

/// Rows whose probability lies in one bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Mean probability.
    pub predicted: f64,
    /// Share of the rows whose target is 1.
    pub observed: f64,
    /// Rows.
    pub count: usize,
}

/// Mean probability against observed share in `bins` bins of equal width over 0..1, each with its upper edge and the first
/// with 0; bins without rows are left out. scikit-learn's `calibration_curve(strategy="uniform")`. `target` 0 or 1.
pub fn calibration_curve(target: &[f32], probability: &[f32], bins: usize) -> Vec<CalibrationBin> {
    let mut sums = vec![(0.0, 0.0, 0); bins];
    for (&target, &probability) in target.iter().zip(probability) {
        let probability = f64::from(probability);
        // A probability on an edge belongs below; 0 has nothing below.
        let bin = ((probability * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        let sum = &mut sums[bin];
        *sum = (sum.0 + probability, sum.1 + f64::from(target), sum.2 + 1);
    }
    sums.into_iter()
        .filter(|sum| sum.2 > 0)
        .map(|(predicted, observed, count)| CalibrationBin {
            predicted: predicted / count as f64,
            observed: observed / count as f64,
            count,
        })
        .collect()
}
