//! Figures of the data report: pure functions over numbers and counts.

/// Ascending; none of the values may be NaN.
pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The quantile `q` (0 to 1) of ascending values, linear between neighbours (numpy's default). NaN without values.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q * last as f64;
    let below = place as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// The rank of each value from 1, equal values sharing the mean of theirs (scipy's `rankdata`).
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut n_before = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = n_before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|&i| ranks[i] = shared);
        n_before += equal.len();
    }
    ranks
}

/// The area under the ROC curve: the chance that a positive has a higher value than a negative, ties counting half
/// (Mann and Whitney). `None` with one class only.
pub(crate) fn auc(values: &[f64], is_positive: &[bool]) -> Option<f64> {
    let n_positive = is_positive.iter().filter(|positive| **positive).count() as f64;
    let n_negative = is_positive.len() as f64 - n_positive;
    let rank_sum: f64 = ranks(values).iter().zip(is_positive).filter(|(_, positive)| **positive).map(|(r, _)| r).sum();
    let area = (rank_sum - n_positive * (n_positive + 1.0) / 2.0) / (n_positive * n_negative);
    area.is_finite().then_some(area)
}

/// Spearman's rank correlation. `None` if either side is constant.
pub(crate) fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() as f64 + 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| (x - middle) * (y - middle)).sum() };
    let correlation = product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt();
    correlation.is_finite().then_some(correlation)
}

/// The statistic of Kolmogorov and Smirnov: the largest distance between the distributions of two ascending samples.
pub(crate) fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        i += a[i..].iter().take_while(|&&value| value == x).count();
        j += b[j..].iter().take_while(|&&value| value == x).count();
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    largest
}

/// The population stability index of two histograms over the same bins: the sum of `(q - p) ln(q / p)` over their shares.
/// Half a row is added to each bin that either histogram fills: an empty bin would make it infinite, and a tiny share in
/// place of none would make much of a bin that a small part misses by chance.
pub(crate) fn stability_index(expected: &[usize], actual: &[usize]) -> f64 {
    let is_filled = |bin: &usize| expected[*bin] + actual[*bin] > 0;
    let filled: Vec<usize> = (0..expected.len()).filter(is_filled).collect();
    let shares = |counts: &[usize]| -> Vec<f64> {
        let total = counts.iter().sum::<usize>() as f64 + 0.5 * filled.len() as f64;
        filled.iter().map(|&bin| (counts[bin] as f64 + 0.5) / total).collect()
    };
    shares(expected).iter().zip(shares(actual)).map(|(p, q)| (q - p) * (q / p).ln()).sum()
}

/// Half the sum of the distances between two distributions' shares: 0 if equal, 1 if disjoint.
pub(crate) fn total_variation(a: &[usize], b: &[usize]) -> f64 {
    let share = |counts: &[usize], i: usize| counts[i] as f64 / counts.iter().sum::<usize>().max(1) as f64;
    (0..a.len()).map(|i| (share(a, i) - share(b, i)).abs()).sum::<f64>() / 2.0
}

/// Interior borders of up to `n_bins` bins that hold equally many of the ascending values.
pub(crate) fn equal_bins(sorted: &[f64], n_bins: usize) -> Vec<f64> {
    let mut edges: Vec<f64> = (1..n_bins).map(|i| quantile(sorted, i as f64 / n_bins as f64)).collect();
    edges.dedup();
    edges
}

/// The bin of a value; one that equals a border belongs to the bin on its left.
pub(crate) fn bin(value: f64, edges: &[f64]) -> usize {
    edges.partition_point(|&edge| edge < value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    const A: [f64; 12] = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0];
    const B: [f64; 12] = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0, 2.0, 8.0, 4.0, 5.0];

    /// numpy 2 and scipy 1.17: `rankdata`, `spearmanr`, `ks_2samp`, `quantile`; scikit-learn 1.9.1: `roc_auc_score`.
    #[test]
    fn figures_equal_those_of_scipy() {
        assert_eq!(ranks(&A), RANKS);
        close(spearman(&A, &B).unwrap_or_default(), SPEARMAN);
        close(kolmogorov_smirnov(&sorted(A.to_vec()), &sorted(B[..7].to_vec())), KS);
        let positive: Vec<bool> = B.iter().map(|&b| b > 3.0).collect();
        close(auc(&A, &positive).unwrap_or_default(), AUC);
        for (q, expected) in [(0.05, QUANTILES[0]), (0.5, QUANTILES[1]), (0.9, QUANTILES[2])] {
            close(quantile(&sorted(A.to_vec()), q), expected);
        }
    }

    /// `p = (c + .5) / (c + .5).sum()` and `((q - p) * np.log(q / p)).sum()`, without bins that are 0 in both; half of `np.abs(p - q).sum()`.
    #[test]
    fn distances_equal_numpys() {
        close(stability_index(&[10, 20, 30, 0, 0], &[5, 5, 20, 3, 0]), PSI);
        close(total_variation(&[10, 20, 30, 0], &[5, 5, 20, 3]), TV);
    }

    #[test]
    fn one_class_or_a_constant_has_no_figure() {
        assert_eq!(auc(&A, &[true; 12]), None);
        assert_eq!(spearman(&A, &[1.0; 12]), None);
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!(equal_bins(&[1.0, 1.0, 1.0, 2.0], 4), [1.0, 1.25]);
        assert_eq!([0.5, 1.0, 1.1, 3.0].map(|x| bin(x, &[1.0, 1.25])), [0, 0, 1, 2]);
    }

    const RANKS: [f64; 12] = [4.5, 1.5, 6.0, 1.5, 8.0, 12.0, 3.0, 10.0, 8.0, 4.5, 8.0, 11.0];
    const SPEARMAN: f64 = 0.1415796863640157;
    const KS: f64 = 0.32142857142857145;
    const AUC: f64 = 0.5857142857142857;
    const QUANTILES: [f64; 3] = [1.0, 4.5, 7.800000000000001];
    const PSI: f64 = 0.3778092588606876;
    const TV: f64 = 0.19696969696969696;
}
