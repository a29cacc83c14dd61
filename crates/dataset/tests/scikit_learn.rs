//! The same figures as scikit-learn 1.9.1 on public data that is not part of the project.
//!
//! Reference: `SimpleImputer("median")`, `StandardScaler`, `MinMaxScaler`, `OneHotEncoder(handle_unknown="ignore")`,
//! fitted on the rows with `split == "train"`, with `na_values=["?"]`.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Instant;

use dataset::*;

/// The settings for a file of `../shared/data`, or `None`, with a printed line, where it is not there.
fn public(file: &str, target: &str) -> Option<DataConfig> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(file);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(DataConfig { path: Some(path), target: target.to_string(), ..DataConfig::default() })
}

fn with_split_column(file: &str, target: &str) -> Option<DataConfig> {
    let mut data = public(file, target)?;
    data.split.column = Some("split".to_string());
    Some(data)
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

fn scalers(preprocessor: &Preprocessor) -> Vec<Scaler> {
    let scaler = |input: &Input| match &input.encoder {
        Encoder::Numeric { scaler, .. } => Some(scaler.clone()),
        Encoder::Category { .. } => None,
    };
    preprocessor.inputs.iter().filter_map(scaler).collect()
}

#[test]
fn adult_is_encoded_like_scikit_learn() {
    let Some(data) = with_split_column("adult.csv", "class") else { return };
    let start = Instant::now();
    let splits = load(&data, &FeaturesConfig::default(), 0).unwrap();
    println!("adult.csv: loaded, split and encoded in {:.3} s", start.elapsed().as_secs_f64());
    assert_eq!(splits.info.parts.iter().map(|part| part.n_rows).collect::<Vec<_>>(), [26048, 6513, 16281]);
    assert_eq!(splits.info.parts[0].class_counts, [19775, 6273]);
    assert_eq!(splits.info.classes, ["<=50K", ">50K"]);
    let sha256 = "942f785c972b731bad8e548ee69be7bb5d4b9b04b7b4d6618d90e6067bb369b7";
    assert_eq!(splits.info.files[0].sha256, sha256);

    let expected = [
        (38.59467137592138, 13.62939983225907),
        (189056.84198402948, 105420.48611808581),
        (10.083730036855037, 2.568565174828357),
        (1082.2615555896805, 7383.596792351493),
        (86.10257985257985, 400.21842009107905),
        (40.44659858722359, 12.3455969385133),
    ];
    for (scaler, (expected_mean, expected_std)) in scalers(&splits.preprocessor).into_iter().zip(expected) {
        let Scaler::Standard { mean, std } = scaler else { panic!("{scaler:?}") };
        close(mean, expected_mean);
        close(std, expected_std);
    }
    assert_eq!(splits.preprocessor.n_numeric(), 6 + 102);
    let first = &splits.test.numeric[..108];
    let numbers = [
        -0.9974519452972909,
        0.3580438623067116,
        -1.2005652288192787,
        -0.14657647025238046,
        -0.21513897294628567,
        -0.036174726053981435,
    ];
    assert_eq!(first[..6], numbers.map(|x: f64| x as f32));
    let hot: Vec<usize> = (0..102).filter(|&i| first[6 + i] == 1.0).collect();
    assert_eq!(hot, [3, 10, 29, 38, 50, 55, 59, 98]);
    let ones = splits.test.numeric.chunks(108).map(|row| row[6..].iter().sum::<f32>() as usize).sum::<usize>();
    assert_eq!(ones, 130_248);
}

#[test]
fn rare_levels_of_adult_are_grouped_like_scikit_learn() {
    let Some(data) = with_split_column("adult.csv", "class") else { return };
    let n_one_hot = |features: FeaturesConfig| load(&data, &features, 0).unwrap().preprocessor.n_numeric() - 6;
    assert_eq!(n_one_hot(FeaturesConfig { min_frequency: 100, ..FeaturesConfig::default() }), 65);
    assert_eq!(n_one_hot(FeaturesConfig { max_categories: Some(5), ..FeaturesConfig::default() }), 37);
    let features = FeaturesConfig { categorical: CategoricalEncoding::Embedding, ..FeaturesConfig::default() };
    let splits = load(&data, &features, 0).unwrap();
    assert_eq!(splits.preprocessor.cardinalities(), [10, 17, 8, 16, 7, 6, 3, 43]);
    assert_eq!((splits.train.numeric.len(), splits.train.categorical.len()), (26048 * 6, 26048 * 8));
}

#[test]
fn california_is_scaled_like_scikit_learn() {
    let Some(data) = with_split_column("california.csv", "MedHouseVal") else { return };
    let splits = load(&data, &FeaturesConfig::default(), 0).unwrap();
    assert_eq!(splits.info.parts.iter().map(|part| part.n_rows).collect::<Vec<_>>(), [13209, 3303, 4128]);
    assert_eq!(splits.info.problem_type, ProblemType::Regression);
    let row = [
        -0.4002034699942512,
        1.854836125668144,
        -0.3096254357137823,
        -0.08646291624929446,
        -0.22736579319060907,
        -0.17545344224091083,
        1.029936325882152,
        -1.3384751362774268,
    ];
    assert!(splits.test.numeric.iter().zip(row).all(|(x, y)| (x - y as f32).abs() <= 1e-6));
    assert_eq!((splits.test.row_numbers[0], splits.test.target[0]), (7, 2.414));
    let TargetEncoding::Number { mean, std, .. } = splits.preprocessor.target.encoding else { panic!("a regression") };
    // The targets are f32, the reference is f64.
    assert!((mean - 2.0749100870618515).abs() < 1e-6 && (std - 1.1605903038774261).abs() < 1e-6, "{mean} {std}");

    let min_max = FeaturesConfig { scaling: Scaling::MinMax, ..FeaturesConfig::default() };
    let row = [
        0.18069405939228428,
        1.0,
        0.06693969826140672,
        0.04863357795857946,
        0.03234395582835842,
        0.0017334146915503092,
        0.5632306057385765,
        0.2091633466135452,
    ];
    let splits = load(&data, &min_max, 0).unwrap();
    assert!(splits.test.numeric.iter().zip(row).all(|(x, y)| (x - y as f32).abs() <= 1e-6));
}

/// Reference: `QuantileTransformer(output_distribution="normal", n_quantiles=1000, subsample=None)` and `numpy.log1p`.
#[test]
fn california_has_the_quantiles_and_logarithms_of_scikit_learn() {
    let Some(mut data) = with_split_column("california.csv", "MedHouseVal") else { return };
    data.target_transform = TargetTransform::Log;
    let features = FeaturesConfig { scaling: Scaling::QuantileNormal, ..FeaturesConfig::default() };
    let splits = load(&data, &features, 0).unwrap();
    let first = [
        -0.2810911030645868,
        5.19933758270342,
        -0.3766673938475511,
        0.18695383270376356,
        -0.010036718154949801,
        -1.8229890823186388,
        0.8716792497377875,
        -1.1895222157453642,
    ];
    let last = [
        0.006601021116825694,
        -1.3813636807162488,
        0.5666838663056332,
        1.0081249850440759,
        0.13084756386518484,
        0.01101149633600259,
        1.7985496561339174,
        -0.5034973903918751,
    ];
    let sums = [
        -35.802732223647325,
        845.1350342980855,
        -109.30986471214038,
        7.5738347779285355,
        78.61337923611133,
        32.43991259453989,
        44.25157076344135,
        -59.218573153659264,
    ];
    let rows: Vec<&[f32]> = splits.test.numeric.chunks(8).collect();
    for column in 0..8 {
        assert!((f64::from(rows[0][column]) - first[column]).abs() <= 1e-6, "{} {column}", rows[0][column]);
        assert!((f64::from(rows[4127][column]) - last[column]).abs() <= 1e-6, "{} {column}", rows[4127][column]);
        let sum: f64 = rows.iter().map(|row| f64::from(row[column])).sum();
        assert!((sum - sums[column]).abs() <= 1e-3, "{sum} {column}");
    }
    let TargetEncoding::Number { mean, std, .. } = splits.preprocessor.target.encoding else { panic!("a regression") };
    assert!((mean - 1.0576271014518772).abs() < 1e-6 && (std - 0.35793572795411865).abs() < 1e-6, "{mean} {std}");
}

#[test]
fn real_files_load_with_few_settings() {
    let Some(mut titanic) = public("titanic_train.csv", "Survived") else { return };
    titanic.id_columns = vec!["PassengerId".to_string(), "Name".to_string()];
    titanic.ignore_columns = vec!["Ticket".to_string(), "Cabin".to_string()];
    let info = load(&titanic, &FeaturesConfig::default(), 42).unwrap().info;
    assert_eq!((info.n_rows, info.problem_type, info.warnings), (891, ProblemType::Binary, Vec::new()));

    let housing = public("california_housing_raw.csv", "median_house_value").unwrap();
    let splits = load(&housing, &FeaturesConfig::default(), 42).unwrap();
    assert_eq!((splits.info.n_rows, splits.preprocessor.n_numeric()), (20640, 8 + 5));

    let mut churn = with_split_column("churn.csv", "Exited").unwrap();
    churn.id_columns = ["RowNumber", "CustomerId", "Surname"].map(String::from).to_vec();
    let info = load(&churn, &FeaturesConfig::default(), 42).unwrap().info;
    assert_eq!(info.parts.iter().map(|part| part.n_rows).collect::<Vec<_>>(), [6400, 1600, 2000]);

    let traffic = public("Metro_Interstate_Traffic_Volume.csv", "traffic_volume").unwrap();
    let message = load(&traffic, &FeaturesConfig::default(), 42).unwrap_err().to_string();
    assert!(message.contains("or list `date_time` (25"), "{message}");
    let features = FeaturesConfig { categorical: CategoricalEncoding::Embedding, ..FeaturesConfig::default() };
    let warnings = load(&traffic, &features, 42).unwrap().info.warnings;
    assert!(warnings.len() == 1 && warnings[0].starts_with("column `date_time` has 25"), "{warnings:?}");
}
