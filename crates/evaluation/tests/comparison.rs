//! Comparisons of models, against scipy 1.17.1, scikit-learn 1.9.1 and definitions written out in numpy 2.4.6.

use std::sync::Mutex;

use evaluation::comparison::{
    DeLong, Statistic, TestResult, delong, holm, mean_and_sd, paired_bootstrap, paired_bootstrap_of, paired_t, welch,
};
use evaluation::{Interval, bootstrap_intervals, paired_difference};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn uniform(n: usize, a: usize, b: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * a + b) % 1_000_003) as f64 / 1_000_003.0).collect()
}

/// Three models of falling quality with errors in common; the scores of the first two have ties.
fn rows(n: usize) -> (Vec<bool>, Vec<Vec<f64>>) {
    let is_positive: Vec<bool> = uniform(n, 123_791, 77).into_iter().map(|u| u < 0.4).collect();
    let shared = uniform(n, 791_993, 13);
    let model = |(a, b, weight, has_ties): (usize, usize, f64, bool)| {
        let own = uniform(n, a, b);
        let score = |i: usize| own[i] + weight * f64::from(u8::from(is_positive[i])) + 0.5 * shared[i];
        (0..n).map(|i| if has_ties { (score(i) * 10.0).floor() / 10.0 } else { score(i) }).collect()
    };
    let models = [(350_377, 5, 0.5, true), (611_953, 29, 0.3, true), (271_829, 71, 0.1, false)];
    (is_positive.clone(), models.map(model).to_vec())
}

#[track_caller]
fn close(found: f64, expected: f64) {
    let near = found == expected || (found - expected).abs() <= 1e-11;
    assert!(near || found.is_nan() && expected.is_nan(), "{found} is not {expected}");
}

/// Difference, ends of the interval, p-value.
#[track_caller]
fn result_is(found: TestResult, expected: [f64; 4]) {
    let values = [found.difference, found.interval.low, found.interval.high, found.p_value];
    values.into_iter().zip(expected).for_each(|(found, expected)| close(found, expected));
}

/// `ttest_ind(.., equal_var=False)`, `ttest_rel`, each with its `confidence_interval`.
#[test]
fn t_tests_equal_scipys() {
    let (a, b) = ([0.81, 0.84, 0.79, 0.86, 0.83], [0.78, 0.77, 0.83, 0.71, 0.75]);
    result_is(welch(&a, &b, 0.9), [0.058, 0.01404356163064252, 0.10195643836935736, 0.041522896821264726]);
    result_is(welch(&a, &[0.5, 1.5], 0.9), [-0.174, -3.325558363789665, 2.9775583637896617, 0.7868063869213986]);
    let unequal = welch(&b, &a[..3], 0.9);
    result_is(unequal, [-0.0453333333333333, -0.09275453642058865, 0.002087869753921938, 0.1125876473683833]);
    // One sample without spread: the other's degrees of freedom.
    result_is(welch(&a, &[0.7; 3], 0.9), [0.126, 0.10024079727215537, 0.15175920272784482, 0.00047775712249838404]);
    let (many, others) = (uniform(400, 350_377, 5), uniform(300, 611_953, 29));
    let others: Vec<f64> = others.into_iter().map(|u| u * u + 0.2).collect();
    let found = welch(&many, &others, 0.99);
    result_is(found, [-0.029740148280431755, -0.08756769137005525, 0.028087394809191743, 0.1844205839663014]);

    result_is(paired_t(&a, &b, 0.95), [0.058, -0.028650000514715432, 0.14465000051471544, 0.13664705826491433]);
    let two = paired_t(&a[..2], &b, 0.95);
    result_is(two, [0.05, -0.2041240947234934, 0.3041240947234934, 0.24223788318168646]);
    let near: Vec<f64> = many.iter().zip(uniform(400, 611_953, 29)).map(|(x, u)| 0.9 * x + 0.1 * u + 0.004).collect();
    let found = paired_t(&many, &near, 0.99);
    result_is(found, [-0.0036779447161659484, -0.009028154928400835, 0.0016722654960690969, 0.07596234899413737]);

    let (mean, sd) = mean_and_sd(&a);
    close(mean, 0.826);
    close(sd, 0.02701851217221256);
}

#[test]
fn t_tests_of_odd_values_are_defined() {
    assert!(mean_and_sd(&[]).0.is_nan() && mean_and_sd(&[]).1.is_nan());
    assert!(mean_and_sd(&[3.0]).0 == 3.0 && mean_and_sd(&[3.0]).1.is_nan());
    assert!(mean_and_sd(&[0.1; 3]).1 < 1e-16 && mean_and_sd(&[0.5; 3]).1 == 0.0);
    for test in [welch, paired_t] {
        result_is(test(&[], &[], 0.95), [NAN; 4]);
        result_is(test(&[1.0], &[0.75], 0.95), [0.25, NAN, NAN, NAN]);
        result_is(test(&[1.0, NAN, 2.0], &[1.0, 2.0, 3.0], 0.95), [NAN; 4]);
        result_is(test(&[1.0, INF, 2.0], &[1.0, 2.0, 3.0], 0.95), [INF, NAN, NAN, NAN]);
        // Without spread nothing says how sure a difference is; none at all is none.
        result_is(test(&[0.8; 5], &[0.7; 5], 0.95), [0.1, NAN, NAN, NAN]);
        result_is(test(&[0.1 + 0.2; 5], &[0.3; 5], 0.95), [0.0, 0.0, 0.0, 1.0]);
        result_is(test(&[0.0; 5], &[0.0; 5], 0.95), [0.0, 0.0, 0.0, 1.0]);
    }
    // Differences that are equal but for rounding.
    let (a, b) = ([0.8, 0.81, 0.85, 0.83], [0.7, 0.71, 0.75, 0.73]);
    result_is(paired_t(&a, &b, 0.95), [0.1, NAN, NAN, NAN]);
    result_is(welch(&[1.0; 4], &[1.0], 0.95), [0.0, NAN, NAN, NAN]);
    // Levels at and beyond their ends.
    let ends = |level: f64| paired_t(&a, &[0.7, 0.9, 0.8, 0.7], level).interval;
    assert_eq!([ends(1.0), ends(2.0)], [Interval { low: -INF, high: INF }; 2]);
    assert!(ends(0.0).low == ends(0.0).high && ends(-1.0) == ends(0.0) && ends(NAN).low.is_nan());
}

/// `np.minimum(1, np.maximum.accumulate([(m - k) * p for k, p in enumerate(sorted(ps))]))`.
#[test]
fn holm_equals_its_definition() {
    let found = holm(&[0.01, 0.04, NAN, 0.03, 0.005, 0.9, 0.03]);
    found.into_iter().zip([0.05, 0.12, NAN, 0.12, 0.03, 0.9, 0.12]).for_each(|(a, b)| close(a, b));
    assert_eq!(holm(&[0.6, 0.7, 0.0]), [1.0, 1.0, 0.0]);
    assert_eq!(holm(&[0.03]), [0.03]);
    assert!(holm(&[]).is_empty() && holm(&[NAN])[0].is_nan());
}

/// `roc_auc_score`; the covariance from placement values by definition: `psi = (x > y) + (x == y) / 2` for each positive
/// and negative, `np.cov(psi.mean(1)) / m + np.cov(psi.mean(0)) / n`.
#[test]
fn delong_equals_its_definition() {
    let (is_positive, scores) = rows(120);
    let found = delong(&is_positive, &scores).unwrap();
    let auc = [0.8489508479448117, 0.7129922391491808, 0.576889910893935];
    let covariance = [
        [0.0012023019055962204, 0.0005125284894876865, 0.0005508834813410263],
        [0.0005125284894876865, 0.0022238147084822917, 0.0007337124653818929],
        [0.0005508834813410263, 0.0007337124653818929, 0.002886375944855761],
    ];
    for a in 0..3 {
        close(found.auc[a], auc[a]);
        close(Statistic::auc(&is_positive, &scores[a]).value(), auc[a]);
        (0..3).for_each(|b| close(found.covariance[a][b], covariance[a][b]));
    }
    let interval = found.interval(0, 0.9);
    close(interval.low, 0.7919168225693195);
    close(interval.high, 0.9059848733203041);
    let tests = [
        (0, 1, [0.13595860879563104, 0.03991918088042752, 0.23199803671083458, 0.005526436720138033]),
        (0, 2, [0.27206093705087675, 0.16494373406064217, 0.37917814004111133, 6.424403133131345e-07]),
        (1, 2, [0.1361023282552457, 0.01780805740198277, 0.25439659910850865, 0.024132224696665466]),
    ];
    tests.into_iter().for_each(|(a, b, expected)| result_is(found.difference(a, b, 0.95), expected));
}

/// Seven rows, four of them positive.
#[test]
fn delong_of_few_rows_equals_its_definition() {
    let (is_positive, scores) = rows(7);
    let found = delong(&is_positive, &scores).unwrap();
    [0.7916666666666667, 0.6666666666666666, 0.5].into_iter().zip(&found.auc).for_each(|(a, b)| close(a, *b));
    close(found.covariance[0][0], 0.049768518518518524);
    close(found.covariance[0][1], -0.004050925925925926);
    close(found.interval(0, 0.9).low, 0.42471859200513606);
    assert_eq!(found.interval(0, 0.9).high, 1.0);
    let test = found.difference(1, 2, 0.95);
    result_is(test, [0.16666666666666663, -0.19855105857357574, 0.531884391906909, 0.37109336952269756]);
}

#[test]
fn delong_of_odd_rows_is_defined() {
    let scores = vec![0.1, 0.4, 0.35, 0.8];
    let target = [false, false, true, true];
    assert!(delong(&[], &[vec![]]).is_none() && delong(&[true; 4], std::slice::from_ref(&scores)).is_none());
    assert!(delong(&[false; 4], std::slice::from_ref(&scores)).is_none());
    assert!(delong(&target, &[vec![0.5]]).is_none(), "of longer ones the rest is not looked at");
    assert!(delong(&target, &[]).unwrap().auc.is_empty());

    // The same order of rows, all equal, the best there is, its opposite, a score that is missing, signed zeros.
    let cubes = scores.iter().map(|s: &f64| s.powi(3)).collect();
    let models: [Vec<f64>; 7] = [
        scores,
        cubes,
        vec![0.5; 4],
        vec![-INF, 0.0, 1.0, INF],
        vec![1.0, 1.0, 0.0, 0.0],
        vec![0.1, NAN, 0.3, 0.4],
        vec![0.0, 0.0, -0.0, 0.0],
    ];
    let found: DeLong = delong(&target, &models).unwrap();
    assert_eq!(found.auc[..5], [0.75, 0.75, 0.5, 1.0, 0.0]);
    assert!(found.auc[5].is_nan() && found.auc[6] == 0.5);
    for (model, auc) in models.iter().zip(&found.auc) {
        close(Statistic::auc(&target, model).value(), *auc);
    }
    result_is(found.difference(0, 1, 0.95), [0.0, 0.0, 0.0, 1.0]);
    result_is(found.difference(3, 4, 0.95), [1.0, NAN, NAN, NAN]);
    assert_eq!(found.interval(3, 0.95), Interval { low: 1.0, high: 1.0 });
    for (a, b) in [(0, 5), (5, 5), (0, 99)] {
        result_is(found.difference(a, b, 0.95), [NAN; 4]);
        assert!(found.interval(b, 0.95).low.is_nan() && found.interval(b, 0.95).high.is_nan());
    }
    // One row of a class has no variance.
    let single = delong(&[true, false, false], &[vec![2.0, 1.0, 3.0], vec![1.0, 2.0, 3.0]]).unwrap();
    assert_eq!(single.auc, [0.5, 0.0]);
    result_is(single.difference(0, 1, 0.95), [0.5, NAN, NAN, NAN]);
}

fn auc_of_rows(is_positive: &[bool], scores: &[f64], rows: &[u32]) -> f64 {
    let class = |wanted: bool| rows.iter().map(|&row| row as usize).filter(move |&row| is_positive[row] == wanted);
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (a, b) in class(true).flat_map(|a| class(false).map(move |b| (a, b))) {
        let is_right = scores[a] > scores[b];
        sum += if is_right { 1.0 } else { f64::from(u8::from(scores[a] == scores[b])) / 2.0 };
        pairs += 1.0;
    }
    sum / pairs
}

/// A prepared figure is the same as one computed from the drawn rows, and draws are those of `bootstrap_intervals`.
#[test]
fn prepared_figures_equal_those_of_the_drawn_rows() {
    let (is_positive, scores) = rows(60);
    let losses: Vec<f64> = scores[2].iter().map(|score| score * score).collect();
    let mut models: Vec<Statistic> = scores.iter().map(|scores| Statistic::auc(&is_positive, scores)).collect();
    models.extend([Statistic::Mean(losses.clone()), Statistic::RootMean(losses.clone())]);
    let compute = |rows: &[u32]| {
        let mean = rows.iter().map(|&row| losses[row as usize]).sum::<f64>() / rows.len() as f64;
        let aucs = scores.iter().map(|scores| auc_of_rows(&is_positive, scores, rows));
        aucs.chain([mean, mean.sqrt()]).collect::<Vec<f64>>()
    };
    let by_cluster: Vec<u32> = (0..60).map(|row| row * 7 % 13).collect();
    for clusters in [None, Some(&by_cluster[..])] {
        let prepared = paired_bootstrap(&models, clusters, 200, 4);
        let of_rows = paired_bootstrap_of(60, clusters, 200, 4, compute);
        for (model, statistic) in models.iter().enumerate() {
            close(prepared.values()[model], of_rows.values()[model]);
            close(prepared.values()[model], statistic.value());
            for level in [0.0, 0.5, 0.95, 1.0] {
                let (a, b) = (prepared.interval(model, level), of_rows.interval(model, level));
                close(a.low, b.low);
                close(a.high, b.high);
            }
        }
        let (a, b) = (prepared.difference(0, 2, 0.9), of_rows.difference(0, 2, 0.9));
        result_is(a, [b.difference, b.interval.low, b.interval.high, b.p_value]);
    }
    let found = paired_bootstrap_of(60, None, 200, 4, compute);
    let intervals = bootstrap_intervals(60, 200, 4, 0.95, compute);
    assert_eq!((0..5).map(|model| found.interval(model, 0.95)).collect::<Vec<_>>(), intervals);
    let difference = paired_difference(60, 200, 4, 0.95, |rows| compute(rows)[0] - compute(rows)[1]);
    let test = found.difference(0, 1, 0.95);
    assert_eq!((test.difference, test.interval), (difference.value, difference.interval));
}

#[test]
fn a_p_value_counts_the_draws_on_the_rarer_side() {
    let (n, samples) = (30, 499);
    let values = uniform(n, 350_377, 5);
    let seen = Mutex::new(Vec::new());
    // Rounded, so that some draws are exactly 0; some draws have no value.
    let compute = |rows: &[u32]| {
        let mean = rows.iter().map(|&row| values[row as usize] - 0.55).sum::<f64>() / rows.len() as f64;
        let value = if rows[0] == 3 { NAN } else { (mean * 20.0).round() / 20.0 };
        seen.lock().unwrap().push(value);
        vec![value, 0.0]
    };
    let found = paired_bootstrap_of(n, None, samples, 1, compute);
    let test = found.difference(0, 1, 0.95);
    let mut draws = seen.into_inner().unwrap();
    assert_eq!(draws.remove(0), test.difference, "the rows as they are come first");
    draws.retain(|draw| !draw.is_nan());
    assert!(draws.len() < samples && draws.contains(&0.0));
    let count = |keep: fn(f64) -> bool| draws.iter().filter(|draw| keep(**draw)).count() as f64 + 1.0;
    let expected = 2.0 * count(|draw| draw <= 0.0).min(count(|draw| draw >= 0.0)) / (draws.len() as f64 + 1.0);
    assert!(expected < 1.0 && test.p_value == expected, "{expected} {test:?}");
    let reverse = found.difference(1, 0, 0.95);
    result_is(reverse, [-test.difference, -test.interval.high, -test.interval.low, test.p_value]);
}

#[test]
fn a_bootstrap_of_odd_rows_is_defined() {
    let difference = |a: Vec<f64>, b: Vec<f64>| {
        paired_bootstrap(&[Statistic::Mean(a), Statistic::Mean(b)], None, 99, 1).difference(0, 1, 0.95)
    };
    result_is(difference(vec![], vec![]), [NAN; 4]);
    result_is(difference(vec![1.0, 2.0], vec![1.0, 2.0]), [0.0, 0.0, 0.0, 1.0]);
    // One row, or a difference that is the same everywhere, does not say how sure it is.
    result_is(difference(vec![1.0], vec![0.75]), [0.25, NAN, NAN, NAN]);
    result_is(difference(vec![0.8; 9], vec![0.7; 9]), [0.1, NAN, NAN, NAN]);
    result_is(difference(vec![1.0, NAN, 2.0], vec![1.0; 3]), [NAN; 4]);
    // An infinite loss is in most draws, but not in all.
    let infinite = difference([vec![1.5; 99], vec![INF]].concat(), uniform(100, 350_377, 5));
    assert!(infinite.difference == INF && infinite.interval.high == INF && infinite.interval.low.is_finite());
    assert_eq!(infinite.p_value, 0.02, "all 99 draws are above 0");
    // A better model on every row.
    let better = difference(uniform(50, 350_377, 5), uniform(50, 611_953, 29).iter().map(|u| u + 1.0).collect());
    assert!(better.p_value == 0.02 && better.interval.high < 0.0);

    // One class, also in some draws; a score that is missing; models that are not there; no draws.
    let aucs = |target: &[bool], scores: &[f64], samples: usize| {
        paired_bootstrap(&[Statistic::auc(target, scores)], None, samples, 1)
    };
    assert!(aucs(&[true; 3], &[1.0, 2.0, 3.0], 50).interval(0, 0.95).low.is_nan());
    assert!(aucs(&[true, false], &[1.0, NAN], 50).values()[0].is_nan());
    let two = aucs(&[true, false], &[1.0, 0.0], 50);
    assert_eq!((two.values()[0], two.interval(0, 0.95)), (1.0, Interval { low: 1.0, high: 1.0 }));
    assert!(two.interval(9, 0.95).high.is_nan() && two.difference(0, 9, 0.95).p_value.is_nan());
    assert!(aucs(&[true, false], &[1.0, 0.0], 0).interval(0, 0.95).low.is_nan());
    assert!(paired_bootstrap(&[], None, 50, 1).values().is_empty());
    let not_called = paired_bootstrap_of(0, None, 50, 1, |rows| vec![f64::from(rows[0])]);
    assert!(not_called.values().is_empty() && not_called.difference(0, 0, 0.95).p_value.is_nan());
    // Models of different lengths: the rows that all have.
    let lengths = paired_bootstrap(&[Statistic::Mean(vec![1.0, 2.0, 9.0]), Statistic::Mean(vec![0.0; 2])], None, 9, 1);
    assert_eq!(lengths.values(), [1.5, 0.0]);
}

/// Ten equal rows in each of 20 clusters are worth 20 rows.
#[test]
fn rows_of_one_cluster_are_drawn_together() {
    let losses = uniform(20, 350_377, 5);
    let all: Vec<f64> = (0..200).map(|row| losses[row % 20]).collect();
    let clusters: Vec<u32> = (0..200).map(|row| 1000 - row % 20).collect();
    let few = paired_bootstrap(&[Statistic::Mean(losses.clone())], None, 300, 2).interval(0, 0.95);
    let clustered = paired_bootstrap(&[Statistic::Mean(all.clone())], Some(&clusters), 300, 2).interval(0, 0.95);
    close(few.low, clustered.low);
    close(few.high, clustered.high);
    let alone: Vec<u32> = (7..207).collect();
    let each = paired_bootstrap(&[Statistic::Mean(all.clone())], Some(&alone), 300, 2).interval(0, 0.95);
    assert_eq!(each, paired_bootstrap(&[Statistic::Mean(all.clone())], None, 300, 2).interval(0, 0.95));
    assert!(few.high - few.low > 2.5 * (each.high - each.low));
    let short = paired_bootstrap(&[Statistic::Mean(all), Statistic::Mean(vec![])], Some(&clusters), 300, 2);
    assert!(short.values().iter().all(|value| value.is_nan()));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (is_positive, scores) = rows(300);
    let mut models: Vec<Statistic> = scores.iter().map(|scores| Statistic::auc(&is_positive, scores)).collect();
    models.extend(scores.iter().map(|scores| Statistic::RootMean(scores.clone())));
    let clusters: Vec<u32> = (0..300).map(|row| row / 4).collect();
    let bits = |threads: usize, seed: u64, clusters: Option<&[u32]>| -> Vec<u64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| paired_bootstrap(&models, clusters, 333, seed));
        let of_pair = |pair: usize| {
            let test = found.difference(pair / 6, pair % 6, 0.9);
            [test.difference, test.interval.low, test.interval.high, test.p_value].map(f64::to_bits)
        };
        (0..36).flat_map(of_pair).collect()
    };
    for clusters in [None, Some(&clusters[..])] {
        let one = bits(1, 3, clusters);
        for threads in [2, 3, 7] {
            assert_eq!(one, bits(threads, 3, clusters));
        }
        assert_ne!(one, bits(1, 4, clusters));
    }
}

#[test]
fn a_result_is_written_as_json_and_read_back() {
    let unknown = welch(&[1.0], &[2.0], 0.95);
    let json = serde_json::to_string(&unknown).unwrap();
    assert_eq!(json, r#"{"difference":-1.0,"interval":{"low":null,"high":null},"p_value":null}"#);
    let back: TestResult = serde_json::from_str(&json).unwrap();
    assert!(back.difference == -1.0 && back.interval.low.is_nan() && back.p_value.is_nan());
}

/// 20 models, 10,000 rows, 2,000 draws: `cargo test -p evaluation --test comparison speed -- --nocapture --ignored`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let (n, n_models) = (10_000, 20);
    let is_positive: Vec<bool> = uniform(n, 123_791, 77).into_iter().map(|u| u < 0.3).collect();
    let scores: Vec<Vec<f64>> = (0..n_models).map(|model| uniform(n, 350_377 + 2 * model, 5 + model)).collect();
    let rounded = |scores: &Vec<f64>| scores.iter().map(|score| (score * 100.0).floor()).collect::<Vec<f64>>();
    let timed = |name: &str, models: Vec<Statistic>| {
        let start = std::time::Instant::now();
        let found = paired_bootstrap(&models, None, 2000, 1);
        let draws = start.elapsed();
        let pairs = (0..n_models * n_models).map(|pair| found.difference(pair / n_models, pair % n_models, 0.95));
        let sum: f64 = pairs.map(|test| test.p_value).filter(|p| !p.is_nan()).sum();
        println!("{name}: {draws:?}, with all 400 differences {:?} ({sum:.3})", start.elapsed());
    };
    timed("AUC", scores.iter().map(|scores| Statistic::auc(&is_positive, scores)).collect());
    timed("AUC, 100 scores", scores.iter().map(|scores| Statistic::auc(&is_positive, &rounded(scores))).collect());
    timed("mean", scores.iter().map(|scores| Statistic::Mean(scores.clone())).collect());
    let start = std::time::Instant::now();
    let found = delong(&is_positive, &scores).unwrap();
    println!("DeLong: {:?} ({:.3})", start.elapsed(), found.auc[0]);
}
