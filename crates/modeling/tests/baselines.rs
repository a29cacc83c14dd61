//! Baselines against scikit-learn 1.9.1 on 200 rows that a generator of one line makes, here and in Python; and what
//! breaks such models: columns that determine each other, constant ones, one class, absurd scales, too many rows.
#![allow(clippy::unwrap_used)]

use modeling::Task;
use modeling::baselines::{Baseline, BaselineConfig, BaselineKind, Error, Parameters, design_matrix, fit};

const ROWS: usize = 200;
const COLUMNS: usize = 4;
/// Rows whose predictions are compared one by one.
const LOOKED_AT: [usize; 3] = [0, 57, 199];

/// s = (1103515245 s + 12345) mod 2^31; value s / 2^31 * 2 - 1, in f32.
fn noise(count: usize, mut state: u64) -> Vec<f32> {
    let mut next = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        (state as f64 / f64::from(1u32 << 31)) as f32 * 2.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// x `[200, 4]` and y = 2 x0 - x1 + x2^2 / 2 + noise.
fn example() -> (Vec<f32>, Vec<f32>) {
    let (x, noise) = (noise(ROWS * COLUMNS, 1), noise(ROWS, 7));
    let y = x.chunks(COLUMNS).zip(&noise).map(|(x, noise)| 2.0 * x[0] - x[1] + 0.5 * x[2] * x[2] + noise).collect();
    (x, y)
}

fn above(values: &[f32], threshold: f32) -> Vec<f32> {
    values.iter().map(|&value| f32::from(value > threshold)).collect()
}

fn learn(kind: BaselineKind, x: &[f32], columns: usize, y: &[f32], task: Task) -> Baseline {
    fit(kind, &BaselineConfig::default(), x, columns, y, task, 0).unwrap()
}

fn assert_close(actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(expected) {
        assert!((f64::from(*actual) - expected).abs() <= tolerance, "{actual}, not {expected}");
    }
}

fn looked_at(x: &[f32], columns: usize) -> Vec<f32> {
    LOOKED_AT.iter().flat_map(|&row| x[row * columns..(row + 1) * columns].to_vec()).collect()
}

#[test]
fn dummy_is_the_mean_or_the_share_of_each_class() {
    let regression = learn(BaselineKind::Dummy, &[0.0; 4], 1, &[1.0, 2.0, 3.0, 10.0], Task::Regression);
    assert_eq!(regression.predict(&[7.0, 8.0]).unwrap(), [4.0, 4.0]);
    let binary = learn(BaselineKind::Dummy, &[0.0; 4], 1, &[1.0, 0.0, 0.0, 0.0], Task::Binary);
    assert_eq!(binary.predict(&[7.0]).unwrap(), [0.25]);
    let task = Task::Multiclass { classes: 3 };
    let multiclass = learn(BaselineKind::Dummy, &[0.0; 4], 1, &[1.0, 0.0, 1.0, 2.0], task);
    assert_eq!(multiclass.predict(&[7.0, 8.0]).unwrap(), [0.25, 0.5, 0.25, 0.25, 0.5, 0.25]);
}

#[test]
fn linear_models_agree_with_scikit_learn() {
    let (x, y) = example();
    // LinearRegression()
    let linear = learn(BaselineKind::Linear, &x, COLUMNS, &y, Task::Regression);
    let expected = [0.853_941_92, -2.092_429_922, -1.759_475_739];
    assert_close(&linear.predict(&looked_at(&x, COLUMNS)).unwrap(), &expected, 1e-6);
    // TransformedTargetRegressor(ElasticNet(alpha=.05, l1_ratio=.5, tol=1e-12), transformer=StandardScaler())
    let config = BaselineConfig { penalty: 0.05, ..Default::default() };
    let net = fit(BaselineKind::ElasticNet, &config, &x, COLUMNS, &y, Task::Regression, 0).unwrap();
    let expected = [0.756_487_31, -1.859_610_159, -1.484_388_574];
    assert_close(&net.predict(&looked_at(&x, COLUMNS)).unwrap(), &expected, 1e-4);
    assert!(linear.warnings.is_empty() && net.warnings.is_empty());
}

#[test]
fn logistic_models_agree_with_scikit_learn() {
    let (x, y) = example();
    // LogisticRegression(C=2, tol=1e-10) on y > 0.3
    let config = BaselineConfig { l2: 0.5, ..Default::default() };
    let binary = fit(BaselineKind::Logistic, &config, &x, COLUMNS, &above(&y, 0.3), Task::Binary, 0).unwrap();
    let expected = [0.766_859_096, 0.003_765_874, 0.009_095_637];
    assert_close(&binary.predict(&looked_at(&x, COLUMNS)).unwrap(), &expected, 1e-5);
    // The same with the classes swapped: linfa's positive class is the more frequent one.
    let swapped: Vec<f32> = above(&y, 0.3).iter().map(|class| 1.0 - class).collect();
    let swapped = fit(BaselineKind::Logistic, &config, &x, COLUMNS, &swapped, Task::Binary, 0).unwrap();
    assert_close(&swapped.predict(&looked_at(&x, COLUMNS)).unwrap(), &expected.map(|p| 1.0 - p), 1e-5);
    // LogisticRegression(C=1, tol=1e-10) on three classes
    let task = Task::Multiclass { classes: 3 };
    let classes: Vec<f32> = y.iter().map(|&y| f32::from(y >= -0.8) + f32::from(y >= 0.9)).collect();
    let multinomial = learn(BaselineKind::Logistic, &x, COLUMNS, &classes, task);
    #[rustfmt::skip]
    let expected = [
        0.021_535_484, 0.551_087_538, 0.427_376_979,
        0.921_083_718, 0.078_123_623, 0.000_792_659,
        0.893_705_924, 0.104_136_698, 0.002_157_378,
    ];
    assert_close(&multinomial.predict(&looked_at(&x, COLUMNS)).unwrap(), &expected, 1e-5);
    assert!(binary.warnings.is_empty() && multinomial.warnings.is_empty());
}

#[test]
fn trees_agree_with_scikit_learn() {
    let (x, y) = example();
    // DecisionTreeClassifier(max_depth=3, min_samples_leaf=10)
    let config = BaselineConfig { max_depth: 3, min_rows_per_leaf: 10, ..Default::default() };
    let tree = fit(BaselineKind::DecisionTree, &config, &x, COLUMNS, &above(&y, 0.3), Task::Binary, 0).unwrap();
    let predicted = tree.predict(&x).unwrap();
    assert_close(&looked_at(&predicted, 1), &[0.84, 0.0, 0.0], 1e-6);
    let squares: f64 = predicted.iter().map(|&p| f64::from(p).powi(2)).sum();
    assert!((squares - 77.371_182_785_698_93).abs() < 1e-4, "{squares}");
}

/// Where `linfa-trees` by itself fails: many equal values, one-hot columns.
#[test]
fn trees_split_one_hot_columns_as_scikit_learn_does() {
    let (x, y) = example();
    let category = |row: usize| (row * 7) % 5;
    let mut encoded = Vec::new();
    let mut target = Vec::new();
    for (row, x) in x.chunks(COLUMNS).enumerate() {
        encoded.extend(x.iter().map(|&x| ((f64::from(x) * 3.0).round_ties_even() / 3.0) as f32));
        encoded.extend((0..5).map(|level| f32::from(level == category(row))));
        let shift = [0.0, 0.0, 1.5, 0.0, -1.0][category(row)];
        target.push(f32::from(f64::from(y[row]) + shift > 0.3));
    }
    // DecisionTreeClassifier(max_depth=4, min_samples_leaf=5)
    let config = BaselineConfig { max_depth: 4, min_rows_per_leaf: 5, ..Default::default() };
    let tree = fit(BaselineKind::DecisionTree, &config, &encoded, 9, &target, Task::Binary, 0).unwrap();
    let Parameters::Tree { nodes } = &tree.parameters else { panic!("{tree:?}") };
    assert!(nodes.iter().any(|node| node.split.as_ref().is_some_and(|split| split.column >= COLUMNS)), "{nodes:?}");
    let errors = tree.predict(&encoded).unwrap().into_iter().zip(&target).map(|(p, y)| f64::from(p - y).powi(2));
    let brier = errors.sum::<f64>() / ROWS as f64;
    assert!((brier - 0.082_626_068).abs() < 1e-6, "{brier}");
}

#[test]
fn linear_copes_with_columns_that_determine_each_other() {
    let (x, y) = example();
    let (mut wide, mut target) = (Vec::new(), Vec::new());
    for (row, x) in x.chunks(COLUMNS).enumerate() {
        let category = (row * 7) % 5;
        wide.extend(x);
        wide.extend((0..5).map(|level| f32::from(level == category)));
        wide.extend([1.0, x[0] * 2.0]);
        target.push(y[row] + f32::from(category == 2) * 1.5);
    }
    let linear = learn(BaselineKind::Linear, &wide, 11, &target, Task::Regression);
    // numpy's SVD (scikit-learn's LinearRegression) on the same columns
    let expected = [0.651_978_469, -2.205_052_508, -1.790_383_031];
    assert_close(&linear.predict(&looked_at(&wide, 11)).unwrap(), &expected, 1e-5);
    assert_eq!(linear.warnings, ["3 of 11 columns are determined by others and have coefficient 0"]);
    let Parameters::Linear { coefficients, .. } = &linear.parameters else { panic!("{linear:?}") };
    assert_eq!(coefficients[0].iter().filter(|&&coefficient| coefficient == 0.0).count(), 3);
}

#[test]
fn more_columns_than_rows_is_no_trouble() {
    let (x, y) = (noise(5 * 20, 3), [1.0, 2.0, 3.0, 4.0, 5.0]);
    let linear = learn(BaselineKind::Linear, &x, 20, &y, Task::Regression);
    assert_close(&linear.predict(&x).unwrap(), &[1.0, 2.0, 3.0, 4.0, 5.0], 1e-4);
    for (kind, task) in kinds_and_tasks() {
        let y = if task == Task::Regression { y } else { [0.0, 1.0, 0.0, 1.0, 1.0] };
        let model = learn(kind, &x, 20, &y, task);
        assert!(model.predict(&x).unwrap().iter().all(|value| value.is_finite()), "{kind:?}");
    }
}

/// Every kind with every target that it can predict.
fn kinds_and_tasks() -> Vec<(BaselineKind, Task)> {
    let tasks = [Task::Regression, Task::Binary, Task::Multiclass { classes: 3 }];
    let pairs = BaselineKind::ALL.into_iter().flat_map(|kind| tasks.map(|task| (kind, task)));
    let pairs: Vec<_> = pairs.filter(|(kind, task)| kind.fits(*task)).collect();
    assert_eq!(pairs.len(), 3 + 1 + 1 + 2 + 1);
    pairs
}

fn target_of(y: &[f32], task: Task) -> Vec<f32> {
    match task {
        Task::Regression => y.to_vec(),
        Task::Binary => above(y, 0.0),
        Task::Multiclass { .. } => y.iter().map(|&y| f32::from(y > -0.5) + f32::from(y > 0.5)).collect(),
    }
}

#[test]
fn one_column_even_a_constant_one_is_enough() {
    let (x, y) = (noise(ROWS, 1), noise(ROWS, 2));
    for (kind, task) in kinds_and_tasks() {
        let target = target_of(&y, task);
        let dummy = learn(BaselineKind::Dummy, &x, 1, &target, task).predict(&[16_777.216]).unwrap();
        let constant = learn(kind, &[16_777.216; ROWS], 1, &target, task);
        let expected: Vec<f64> = dummy.iter().map(|&value| f64::from(value)).collect();
        assert_close(&constant.predict(&[16_777.216]).unwrap(), &expected, 1e-5);
        let one = learn(kind, &x, 1, &target, task).predict(&x).unwrap();
        assert_eq!(one.len(), ROWS * task.n_outputs());
        assert!(one.iter().all(|value| value.is_finite()), "{kind:?}");
    }
}

#[test]
fn the_same_input_gives_the_same_bits_and_json_keeps_them() {
    let (x, y) = example();
    for (kind, task) in kinds_and_tasks() {
        let target = target_of(&y, task);
        let first = learn(kind, &x, COLUMNS, &target, task);
        let json = first.to_json().unwrap();
        assert_eq!(json, learn(kind, &x, COLUMNS, &target, task).to_json().unwrap(), "{kind:?}");
        let read = Baseline::from_json(&json).unwrap();
        assert_eq!(read, first);
        assert_eq!(read.predict(&x).unwrap(), first.predict(&x).unwrap());
    }
}

#[test]
fn a_class_without_train_rows_gets_no_probability() {
    let (x, y) = example();
    let classes: Vec<f32> = above(&y, 0.0).iter().map(|class| class * 2.0).collect();
    let model = learn(BaselineKind::Logistic, &x, COLUMNS, &classes, Task::Multiclass { classes: 3 });
    let predicted = Baseline::from_json(&model.to_json().unwrap()).unwrap().predict(&x).unwrap();
    assert!(predicted.chunks(3).all(|p| p[1] == 0.0 && (p[0] + p[2] - 1.0).abs() < 1e-6));
}

#[test]
fn more_rows_than_allowed_are_thinned_out_by_seed() {
    let (x, y) = (noise(5000, 1), noise(5000, 2));
    let config = BaselineConfig { max_cells: 1000, ..Default::default() };
    let learn = |seed| fit(BaselineKind::Linear, &config, &x, 1, &y, Task::Regression, seed).unwrap();
    assert_eq!(learn(1).warnings, ["learned from 1000 of 5000 rows, drawn at random: `max_cells` is 1000"]);
    assert_eq!((learn(1).rows, learn(1)), (1000, learn(1)));
    assert_ne!(learn(1).parameters, learn(2).parameters);
}

#[test]
fn what_did_not_converge_says_so() {
    let (x, y) = example();
    let config = BaselineConfig { max_iterations: 2, ..Default::default() };
    for (kind, task) in kinds_and_tasks() {
        let is_iterative = matches!(kind, BaselineKind::Logistic | BaselineKind::ElasticNet);
        let model = fit(kind, &config, &x, COLUMNS, &target_of(&y, task), task, 0).unwrap();
        assert_eq!(model.warnings.len(), usize::from(is_iterative), "{kind:?} {:?}", model.warnings);
    }
}

/// Columns as a file has them: from 1e-6 to 1e6. Nobody scaled them; a result or an error, never a panic or NaN.
#[test]
fn absurd_scales_give_numbers_or_an_error() {
    let (x, y) = example();
    let scales = [1e-6, 1e6, 1.0, 30_000.0];
    let raw: Vec<f32> = x.iter().enumerate().map(|(i, x)| x * scales[i % COLUMNS] + scales[i % COLUMNS]).collect();
    for (kind, task) in kinds_and_tasks() {
        match fit(kind, &BaselineConfig::default(), &raw, COLUMNS, &target_of(&y, task), task, 0) {
            Ok(model) => assert!(model.predict(&raw).unwrap().iter().all(|value| value.is_finite()), "{kind:?}"),
            Err(error) => assert!(matches!(error, Error::Solver { .. }), "{error}"),
        }
    }
}

#[test]
fn separable_classes_end() {
    let x = noise(ROWS, 1);
    let model = learn(BaselineKind::Logistic, &x, 1, &above(&x, 0.0), Task::Binary);
    let wrong = model.predict(&x).unwrap().iter().zip(&x).filter(|(p, x)| (**p > 0.5) != (**x > 0.0)).count();
    assert!(wrong <= 2, "{wrong}");
}

#[test]
fn errors_say_what_is_wrong() {
    let (x, y) = example();
    let try_fit = |kind, config: &BaselineConfig, x: &[f32], y: &[f32], task| {
        fit(kind, config, x, COLUMNS, y, task, 0).unwrap_err().to_string()
    };
    let default = BaselineConfig::default();
    assert_eq!(
        try_fit(BaselineKind::Linear, &default, &x, &above(&y, 0.0), Task::Binary),
        "the baseline `linear` cannot predict two classes; use one of: dummy, logistic, decision_tree"
    );
    assert_eq!(
        try_fit(BaselineKind::Logistic, &default, &x, &[1.0; ROWS], Task::Binary),
        "all 200 train rows are of class 1; `logistic` needs two classes, `dummy` does not"
    );
    let mut broken = x.clone();
    broken[9] = f32::NAN;
    assert_eq!(
        try_fit(BaselineKind::Linear, &default, &broken, &y, Task::Regression),
        "row 3 has NaN in encoded column 2; a baseline needs finite numbers, impute the missing ones"
    );
    let message = try_fit(BaselineKind::Linear, &default, &x, &y[1..], Task::Regression);
    assert_eq!(message, "the rows given to a baseline do not fit together: 199 targets, 800 values in 4 columns");
    let message = try_fit(BaselineKind::Logistic, &default, &x, &[2.0; ROWS], Task::Binary);
    assert_eq!(message, "the rows given to a baseline do not fit together: row 1 has class 2, there are 2 classes");
    let config = BaselineConfig { l1_ratio: 1.5, ..default };
    let message = try_fit(BaselineKind::ElasticNet, &config, &x, &y, Task::Regression);
    assert_eq!(message, "`baseline_options.l1_ratio` is 1.5: it must be in (0, 1]");
    let wide =
        fit(BaselineKind::Linear, &BaselineConfig::default(), &[0.0; 6003], 2001, &[0.0; 3], Task::Regression, 0);
    assert!(matches!(wide, Err(Error::TooWide { columns: 2001, .. })));
}

#[test]
fn broken_json_is_refused() {
    let (x, y) = example();
    let tree = learn(BaselineKind::DecisionTree, &x, COLUMNS, &above(&y, 0.0), Task::Binary).to_json().unwrap();
    let linear = learn(BaselineKind::Linear, &x, COLUMNS, &y, Task::Regression).to_json().unwrap();
    let broken = [
        tree.replacen("\"left\": 1", "\"left\": 0", 1),
        tree.replacen("\"left\": 1", "\"left\": 9999", 1),
        linear.replacen("\"columns\": 4", "\"columns\": 5", 1),
        linear.replacen("\"version\": 1", "\"version\": 2", 1),
        linear.replacen("\"columns\"", "\"colums\"", 1),
        linear[..40].to_string(),
    ];
    for json in broken {
        assert!(json != tree && json != linear);
        assert!(matches!(Baseline::from_json(&json), Err(Error::Json { .. })), "{json}");
    }
}

#[test]
fn embedding_indices_become_one_hot_columns() {
    let matrix = design_matrix(&[0.5, 0.25], 1, &[2, 0, 0, 1], &[3, 2], 2).unwrap();
    assert_eq!(matrix, [0.5, 0.0, 0.0, 1.0, 1.0, 0.0, 0.25, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(design_matrix(&[], 0, &[1, 0], &[2], 2).unwrap(), [0.0, 1.0, 1.0, 0.0]);
    assert_eq!(design_matrix(&[1.0, 2.0], 1, &[], &[], 2).unwrap(), [1.0, 2.0]);
    let error = design_matrix(&[1.0], 1, &[2], &[2], 1).unwrap_err().to_string();
    assert_eq!(error, "the rows given to a baseline do not fit together: row 1 has index 2 in a category of 2");
    assert!(design_matrix(&[1.0], 1, &[0, 0], &[2], 1).is_err());
}
