//! Distances between distributions, against scipy 1.17.1 and numpy 2.4.6; verdicts; columns with nothing in them.

use evaluation::drift::{
    Distribution, Thresholds, Verdict, compare, histogram, jensen_shannon, kolmogorov_smirnov, psi, summarize,
    wasserstein,
};

/// `((np.arange(n) * a + b) % 1000003) / 1000003.0`.
fn uniform(n: usize, a: usize, b: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * a + b) % 1_000_003) as f64 / 1_000_003.0).collect()
}

/// `uniform(200, 791993, 13)`, `uniform(150, 123791, 5) ** 2`.
fn samples() -> (Vec<f64>, Vec<f64>) {
    (uniform(200, 791_993, 13), uniform(150, 123_791, 5).into_iter().map(|x| x * x).collect())
}

/// `np.floor(x * 10)`.
fn tied(values: &[f64]) -> Vec<f64> {
    values.iter().map(|x| (x * 10.0).floor()).collect()
}

fn numbers(values: &[f64]) -> Distribution {
    Distribution::from_numbers(values)
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{found} is not {expected}");
}

/// `stats.ks_2samp(x, y, method="exact")`.
#[test]
fn kolmogorov_smirnov_is_exact_for_few_rows() {
    let (a, b) = samples();
    let shifted: Vec<f64> = b[..60].iter().map(|x| x * 0.5 + 0.3).collect();
    let cases = [
        (a.clone(), b.clone(), 0.27, 5.645902458497983e-06),
        (tied(&a), tied(&b), 0.24666666666666667, 4.7172938610133235e-05),
        (a[..60].to_vec(), shifted, 0.3, 0.008703437675484196),
    ];
    for (x, y, statistic, p_value) in cases {
        let found = kolmogorov_smirnov(&numbers(&x), &numbers(&y)).unwrap();
        close(found.statistic, statistic, 1e-12);
        close(found.p_value, p_value, 1e-9);
        assert_eq!(kolmogorov_smirnov(&numbers(&y), &numbers(&x)).unwrap().statistic, found.statistic);
    }
    let same = kolmogorov_smirnov(&numbers(&a), &numbers(&a)).unwrap();
    assert_eq!((same.statistic, same.p_value), (0.0, 1.0));
}

/// `stats.ks_2samp(x, y, method="asymp")`, which takes the exact distribution of the one-sample test.
#[test]
fn kolmogorov_smirnov_is_near_enough_for_many() {
    let (a, b) = (uniform(5000, 791_993, 13), uniform(3000, 123_791, 5));
    let shrunk: Vec<f64> = b.iter().map(|x| x * 0.96).collect();
    let mut some = b;
    some.iter_mut().step_by(20).for_each(|x| *x *= 0.5);
    for (x, y, statistic, p_value) in [
        (&a[..], &some[..], 0.025933333333333308, 0.15775240198348317),
        (&a[..], &shrunk[..], 0.04039999999999999, 0.004271055479282154),
        (&a[..4000], &shrunk[..300], 0.042583333333333306, 0.6760877120844391),
    ] {
        let found = kolmogorov_smirnov(&numbers(x), &numbers(y)).unwrap();
        close(found.statistic, statistic, 1e-12);
        close(found.p_value, p_value, 0.005);
    }
}

/// `stats.wasserstein_distance`, with weights too.
#[test]
fn wasserstein_equals_scipys() {
    let (a, b) = samples();
    close(wasserstein(&numbers(&a), &numbers(&b)).unwrap(), 0.16179162020440102, 1e-12);
    close(wasserstein(&numbers(&tied(&a)), &numbers(&tied(&b))).unwrap(), 1.5349999999999997, 1e-12);
    let weights = |n: usize, period: usize| (0..n).map(|i| (1 + i % period) as f64).collect::<Vec<f64>>();
    let weighted = [(&a, weights(200, 7)), (&b, weights(150, 4))].map(|(x, w)| Distribution::from_weighted(x, &w));
    close(wasserstein(&weighted[0], &weighted[1]).unwrap(), 0.1895939272432902, 1e-12);
    let drift = compare(&numbers(&a), &numbers(&b));
    close(drift.wasserstein_sd.unwrap(), 0.16179162020440102 / 0.2901086844292224, 1e-12);
    close(drift.std_ratio.unwrap(), 0.30423863498325904 / 0.2901086844292224, 1e-12);
    close(drift.mean_difference.unwrap(), 0.3363181883406898 - 0.4980800907597277, 1e-12);
}

/// Edges `np.quantile(x, np.arange(1, 10) / 10, method="inverted_cdf")`, a repeated one with `np.nextafter(v, -inf)` before
/// it; counts by `np.searchsorted(edges, v, side="left")`; PSI with half a row added to each bin that either side fills,
/// `((q - p) * np.log(q / p)).sum()`; `jensenshannon(a, b, base=2)` and `chi2_contingency([a, b], correction=False)`.
#[test]
fn binned_distances_equal_scipys() {
    let (a, b) = samples();
    let zeroed = |values: &[f64], below: f64| values.iter().map(|&x| if x < below { 0.0 } else { x }).collect();
    let cases: [(Vec<f64>, Vec<f64>, [f64; 3]); 4] = [
        (a.clone(), b.clone(), [0.36077916647373487, 0.2583197959207146, 0.0002660470585014933]),
        (tied(&a), tied(&b), [0.35486667721151466, 0.25641368401448533, 0.00030847563410393744]),
        (zeroed(&a, 0.6), zeroed(&b, 0.3), [0.2712492964461595, 0.22160265446886865, 0.00012015907705428397]),
        (vec![5.0; 50], vec![3.0; 40], [8.811367756214974, 1.0, 2.381600164396296e-21]),
    ];
    for (x, y, expected) in cases {
        let (reference, current) = (numbers(&x), numbers(&y));
        let drift = compare(&reference, &current);
        let found = [drift.psi, drift.jensen_shannon, drift.p_value].map(Option::unwrap);
        found.into_iter().zip(expected).for_each(|(found, expected)| close(found, expected, 1e-9));
        assert_eq!(
            (psi(&reference, &current), jensen_shannon(&reference, &current)),
            (drift.psi, drift.jensen_shannon)
        );
    }
}

fn levels(counts: &[(&str, u64)], rest: u64, n_missing: u64) -> Distribution {
    Distribution::from_levels(counts.iter().map(|(level, count)| ((*level).to_owned(), *count)), rest, n_missing)
}

/// The same figures for `[120, 60, 15, 5, 0]` and `[50, 45, 20, 0, 10]`.
#[test]
fn levels_are_compared_one_by_one() {
    let reference = levels(&[("a", 120), ("b", 60), ("c", 15), ("d", 5)], 0, 0);
    let current = levels(&[("a", 50), ("b", 45), ("c", 20), ("new", 10)], 0, 25);
    let drift = compare(&reference, &current);
    close(drift.psi.unwrap(), 0.4789824371329632, 1e-12);
    close(drift.jensen_shannon.unwrap(), 0.2834412465546734, 1e-12);
    close(drift.p_value.unwrap(), 3.0253583495847474e-06, 1e-9);
    close(drift.unseen_share.unwrap(), 10.0 / 125.0, 1e-12);
    close(drift.missing_share_change.unwrap(), 25.0 / 150.0, 1e-12);
    assert_eq!((drift.kolmogorov_smirnov, drift.wasserstein, drift.is_numeric), (None, None, false));
    let judgement = Thresholds::default().judge(&drift);
    assert_eq!(judgement.verdict, Verdict::Drift);
    assert_eq!(
        judgement.reasons,
        ["16.7 % missing (was 0.0 %)", "8.0 % of the rows of unseen levels", "PSI 0.479 >= 0.2"]
    );
    // A reference that names only its frequent levels cannot say what is unseen: `new` joins its rest.
    let cut = levels(&[("a", 120), ("b", 60), ("c", 15)], 5, 0);
    let drift = compare(&cut, &current);
    assert_eq!(drift.unseen_share, None);
    close(drift.psi.unwrap(), psi(&cut, &levels(&[("a", 50), ("b", 45), ("c", 20)], 10, 0)).unwrap(), 1e-12);
}

#[test]
fn a_profile_of_quantiles_is_as_good_as_the_values() {
    let (a, b) = (uniform(20_000, 791_993, 13), uniform(8000, 123_791, 5));
    let reference: Vec<f64> = a.iter().map(|x| if *x < 0.33 { 0.0 } else { -x.ln() }).collect();
    let current: Vec<f64> = b.iter().map(|x| if *x < 0.43 { 0.0 } else { -1.1 * x.ln() }).collect();
    let mut sorted = reference.clone();
    sorted.sort_by(f64::total_cmp);
    // numpy's `quantile(x, np.linspace(0, 1, 1001))`.
    let quantile = |k: usize| {
        let place = k as f64 / 1000.0 * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    let quantiles: Vec<f64> = (0..=1000).map(quantile).collect();
    let exact = compare(&numbers(&reference), &numbers(&current));
    let mean = reference.iter().sum::<f64>() / 20_000.0;
    let sd = (reference.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 19_999.0).sqrt();
    let profile = Distribution::from_quantiles(&quantiles, 20_000, 0, mean, sd);
    let found = compare(&profile, &numbers(&current));
    for (found, exact, tolerance) in [
        (found.psi, exact.psi, 0.002),
        (found.jensen_shannon, exact.jensen_shannon, 0.002),
        (found.wasserstein_sd, exact.wasserstein_sd, 0.001),
        (found.kolmogorov_smirnov.map(|ks| ks.statistic), exact.kolmogorov_smirnov.map(|ks| ks.statistic), 0.0011),
        (found.unseen_share, exact.unseen_share, 1e-12),
        (found.std_ratio, exact.std_ratio, 1e-12),
    ] {
        let (found, exact) = (found.unwrap(), exact.unwrap());
        assert!((found - exact).abs() <= tolerance, "{found} against {exact}");
    }
    // As many quantiles as values are the values.
    let few = &reference[..500];
    let mut ordered = few.to_vec();
    ordered.sort_by(f64::total_cmp);
    let [exact, of_profile] = [numbers(few), Distribution::from_quantiles(&ordered, 500, 0, f64::NAN, f64::NAN)]
        .map(|reference| compare(&reference, &numbers(&current)));
    assert_eq!(
        (of_profile.psi, of_profile.kolmogorov_smirnov, of_profile.wasserstein),
        (exact.psi, exact.kolmogorov_smirnov, exact.wasserstein)
    );
    assert_eq!((of_profile.wasserstein_sd, of_profile.std_ratio), (None, None), "a profile without these says so");
}

#[test]
fn nothing_to_compare_gives_no_figures_and_no_panic() {
    let (empty, missing) = (numbers(&[]), numbers(&[f64::NAN, f64::INFINITY, f64::NAN]));
    let (constant, one) = (numbers(&[2.0; 30]), numbers(&[2.0]));
    let texts = Distribution::from_texts(&[Some("x"), None]);
    let all = [empty, missing, constant, one, texts, levels(&[], 0, 4), levels(&[("x", 3)], 0, 0)];
    let mut judged = Vec::new();
    for reference in &all {
        for current in &all {
            let drift = compare(reference, current);
            let known = drift.metrics();
            assert!(known.iter().all(|(_, value)| value.is_finite()), "{known:?}");
            if reference.n() == 0.0 || current.n() == 0.0 {
                assert_eq!((drift.psi, drift.p_value, drift.unseen_share), (None, None, None));
                assert!(histogram(reference, current, 10).is_empty());
            }
            let back: evaluation::drift::ColumnDrift =
                serde_json::from_str(&serde_json::to_string(&drift).unwrap()).unwrap();
            assert_eq!(back, drift);
            judged.push((Thresholds::default().judge(&drift), drift));
        }
    }
    // Constant against all missing, and against text.
    assert_eq!(judged[2 * 7 + 1].0.reasons, ["100.0 % missing (was 0.0 %)"]);
    assert_eq!(judged[2 * 7 + 4].0.reasons, ["was numbers, is now text"]);
    assert_eq!(judged[2 * 7 + 2].0.verdict, Verdict::Stable);
    assert_eq!((judged[2 * 7 + 2].1.psi, judged[2 * 7 + 2].1.wasserstein_sd), (Some(0.0), None));
    let none = summarize([], &Thresholds::default());
    assert_eq!((none.n_features, none.share_drifted, none.is_drift, none.drift_mean_mean_diff), (0, 0.0, false, None));
    assert_eq!(none.metrics().len(), 5);
}

/// A shift of a normal column by 0.6 standard deviations has a PSI of about 0.36, by 0.35 about 0.12.
#[test]
fn verdicts_follow_the_size_of_the_effect() {
    let normal = |n: usize, shift: f64| {
        // Box and Muller.
        let (a, b) = (uniform(n, 791_993, 13), uniform(n, 123_791, 5));
        let pair = |(a, b): (&f64, &f64)| (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos() + shift;
        numbers(&a.iter().zip(&b).map(pair).collect::<Vec<f64>>())
    };
    let thresholds = Thresholds::default();
    let judge = |shift, n| thresholds.judge(&compare(&normal(10_000, 0.0), &normal(n, shift)));
    let verdicts = [0.0, 0.1, 0.35, 0.6].map(|shift| judge(shift, 9000).verdict);
    assert_eq!(verdicts, [Verdict::Stable, Verdict::Stable, Verdict::Watch, Verdict::Drift]);
    let few = judge(0.3, 20);
    assert_eq!(few.verdict, Verdict::Stable, "{few:?}");
    assert!(few.reasons[0].contains("chance alone gives as much"), "{few:?}");
    let strict = Thresholds { wasserstein: Some(0.1), ..Thresholds::default() };
    let drift = compare(&normal(10_000, 0.0), &normal(9000, 0.2));
    assert_eq!(thresholds.judge(&drift).verdict, Verdict::Stable);
    assert_eq!(strict.judge(&drift).verdict, Verdict::Drift);
    // Numbers beyond all that training has seen.
    let outside = compare(&normal(10_000, 0.0), &numbers(&[&[50.0; 8][..], &[0.0; 72]].concat()));
    close(outside.unseen_share.unwrap(), 0.1, 1e-12);

    let columns = [0.0, 0.6, 0.7].map(|shift| compare(&normal(10_000, 0.0), &normal(9000, shift)));
    let judged = columns.iter().map(|column| (column, thresholds.judge(column).verdict));
    let all = summarize(judged, &thresholds);
    assert_eq!((all.n_features, all.n_drifted_features, all.is_drift), (3, 2, true));
    close(all.share_drifted, 2.0 / 3.0, 1e-12);
    close(all.drift_mean_mean_diff.unwrap(), 1.3 / 3.0, 0.02);
    close(all.drift_mean_std_ratio.unwrap(), 1.0, 0.02);
}

#[test]
fn thresholds_come_from_yaml_and_are_checked() {
    let read = |text: &str| serde_yaml::from_str::<Thresholds>(text);
    let found = read("psi: 0.25\njensen_shannon: 0.1\nmissing_share: null\n").unwrap();
    assert_eq!((found.psi, found.jensen_shannon, found.missing_share), (Some(0.25), Some(0.1), None));
    assert_eq!(found.psi_watch, Some(0.1));
    assert_eq!(found.check(), Ok(()));
    assert!(read("pssi: 0.2").unwrap_err().to_string().contains("unknown field `pssi`"));
    for (text, key) in [
        ("psi: 0", "psi"),
        ("psi: .nan", "psi"),
        ("psi: 0.05", "psi_watch"),
        ("kolmogorov_smirnov: 1.5", "kolmogorov_smirnov"),
        ("drifted_share: -1", "drifted_share"),
    ] {
        assert_eq!(read(text).unwrap().check().unwrap_err().0, key);
    }
}

#[test]
fn histograms_hold_every_value() {
    let (a, b) = samples();
    let bars = histogram(&numbers(&a), &numbers(&b), 20);
    assert_eq!(bars.len(), 20);
    let sum = |side: fn(&evaluation::drift::HistogramBin) -> f64| bars.iter().map(side).sum::<f64>();
    close(sum(|bar| bar.reference), 1.0, 1e-12);
    close(sum(|bar| bar.current), 1.0, 1e-12);
    let bars = histogram(&numbers(&[2.0; 9]), &numbers(&[2.0; 3]), 20);
    assert_eq!((bars.len(), bars[0].label.as_str(), bars[0].reference), (1, "2", 1.0));
    let bars = histogram(&levels(&[("a", 6), ("b", 3), ("c", 1)], 0, 0), &levels(&[("b", 1), ("d", 1)], 2, 0), 3);
    let shown: Vec<(&str, f64, f64)> = bars.iter().map(|b| (b.label.as_str(), b.reference, b.current)).collect();
    assert_eq!(shown[0], ("a", 0.6, 0.0));
    assert_eq!((shown[1].0, shown[2].0, shown.len()), ("b", "other", 3));
    close(shown[2].2, 0.75, 1e-12);
}
