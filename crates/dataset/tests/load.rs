//! What `load` makes of good data.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use dataset::*;

/// A file with the given content; its folder lives as long as the first value.
fn file(text: &str) -> (tempfile::TempDir, DataConfig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.csv");
    fs::write(&path, text).unwrap();
    (folder, DataConfig { path: Some(path), target: "y".to_string(), ..DataConfig::default() })
}

/// 10 train, 2 valid, 2 test rows with every kind of column.
const PEOPLE: &str = "\
id,age,city,member,empty,const,y,part
1,20,Bern,true,,k,yes,train
2,30, Bern ,false,,k,no,train
3,,Chur,TRUE,,k,no,train
4,50,Chur,false,,k,no,train
5,10,?,true,,k,yes,train
6,20,Bern,true,,k,yes,train
7,30,\"Sion, VS\",false,,k,no,train
8,40,Bern,true,,k,no,train
9,50,Bern,true,,k,no,train
10,50,Bern,true,,k,no,train
11,60,Bern,false,,k,yes,val
12,70,Chur,false,,k,no,valid
13,,Basel,false,,k,yes,test
14,80,,true,,k,no,TEST
";

fn people() -> (tempfile::TempDir, DataConfig) {
    let (folder, mut data) = file(PEOPLE);
    data.split.column = Some("part".to_string());
    data.id_columns = vec!["id".to_string()];
    (folder, data)
}

#[test]
fn one_hot_features_are_fitted_on_the_train_rows() {
    let (_folder, data) = people();
    let features = FeaturesConfig { missing_indicator: true, ..FeaturesConfig::default() };
    let splits = load(&data, &features, 1).unwrap();
    let names = ["age", "member", "age=<missing>", "city=Bern", "city=Chur", "city=Sion, VS", "city=<missing>"];
    assert_eq!(splits.preprocessor.feature_names(), names);
    assert_eq!(splits.preprocessor.n_numeric(), 7);
    assert_eq!(splits.preprocessor.cardinalities(), Vec::<usize>::new());
    // Train ages 20 30 _ 50 10 20 30 40 50 50: median 30, then mean 33 and variance 181.
    let age = |value: f64| ((value - 33.0) / 181f64.sqrt()) as f32;
    let member = |value: f64| ((value - 0.7) / 0.21f64.sqrt()) as f32;
    assert_eq!(splits.train.numeric[..7], [age(20.0), member(1.0), 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(splits.train.numeric[14..21], [age(30.0), member(1.0), 1.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(splits.test.numeric[..7], [age(30.0), member(0.0), 1.0, 0.0, 0.0, 0.0, 0.0], "Basel is unknown");
    assert_eq!(splits.test.numeric[7..], [age(80.0), member(1.0), 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(splits.test.target, [1.0, 0.0]);
    assert_eq!((splits.valid.row_numbers, splits.test.row_numbers), (vec![10, 11], vec![12, 13]));
    let dropped = splits.info.warnings.iter().filter(|warning| warning.contains("is dropped")).count();
    assert_eq!(dropped, 2, "{:?}", splits.info.warnings);
}

#[test]
fn embedding_indices_keep_0_for_unknown_levels() {
    let (_folder, data) = people();
    let features = FeaturesConfig { categorical: CategoricalEncoding::Embedding, ..FeaturesConfig::default() };
    let splits = load(&data, &features, 1).unwrap();
    assert_eq!(splits.preprocessor.cardinalities(), [5], "unknown, three cities, missing");
    assert_eq!(splits.preprocessor.n_numeric(), 2);
    assert_eq!(splits.preprocessor.feature_names(), ["age", "member", "city"]);
    assert_eq!(splits.train.categorical, [1, 1, 2, 2, 4, 1, 3, 1, 1, 1]);
    assert_eq!(splits.test.categorical, [0, 4]);
}

#[test]
fn rare_and_new_levels_share_a_slot() {
    let (_folder, data) = people();
    let few = FeaturesConfig { min_frequency: 2, ..FeaturesConfig::default() };
    let splits = load(&data, &few, 1).unwrap();
    let names = splits.preprocessor.feature_names();
    assert_eq!(names[2..], ["city=Bern", "city=Chur", "city=<other>", "city=<missing>"]);
    assert_eq!(splits.test.numeric[2..6], [0.0, 0.0, 1.0, 0.0], "Basel joins the rare ones");
    let most = FeaturesConfig { max_categories: Some(3), ..FeaturesConfig::default() };
    let names = load(&data, &most, 1).unwrap().preprocessor.feature_names();
    assert_eq!(names[2..], ["city=Bern", "city=<other>", "city=<missing>"]);
}

#[test]
fn a_column_of_rare_levels_only_is_dropped() {
    let rows: String = (0..40).map(|i| format!("{i},name{i},{}\n", i % 2)).collect();
    let (_folder, data) = file(&format!("x,name,y\n{rows}"));
    let features = FeaturesConfig { min_frequency: 5, ..FeaturesConfig::default() };
    let splits = load(&data, &features, 1).unwrap();
    assert_eq!(splits.info.feature_columns, ["x"], "one slot for all would be 1 in every row");
    assert!(splits.info.warnings[0].contains("`name` is dropped"), "{:?}", splits.info.warnings);
}

#[test]
fn imputation_and_scaling_follow_the_settings() {
    let (_folder, mut data) = people();
    data.ignore_columns = vec!["city".to_string(), "member".to_string()];
    let missing_age = |impute, scaling| {
        let features = FeaturesConfig { impute, scaling, fill_value: -1.0, ..FeaturesConfig::default() };
        load(&data, &features, 1).unwrap().train.numeric[2]
    };
    assert_eq!(missing_age(Imputation::Median, Scaling::None), 30.0);
    assert_eq!(missing_age(Imputation::Mean, Scaling::None), (300.0 / 9.0) as f32);
    assert_eq!(missing_age(Imputation::Constant, Scaling::None), -1.0);
    assert_eq!(missing_age(Imputation::Median, Scaling::MinMax), 0.5);
    assert_eq!(missing_age(Imputation::Constant, Scaling::MinMax), 0.0);
}

#[test]
fn a_column_can_have_its_own_imputation_and_scaling() {
    let (_folder, mut data) = people();
    data.ignore_columns = vec!["city".to_string(), "member".to_string()];
    let missing_age = |own: ColumnSettings| {
        let columns = [("age".to_string(), own)].into();
        let features = FeaturesConfig { scaling: Scaling::None, columns, ..FeaturesConfig::default() };
        load(&data, &features, 1).unwrap().train.numeric[2]
    };
    assert_eq!(missing_age(ColumnSettings::default()), 30.0);
    // Ages 20 30 _ 50 10 20 30 40 50 50.
    let most_frequent = ColumnSettings { impute: Some(Imputation::MostFrequent), ..ColumnSettings::default() };
    assert_eq!(missing_age(most_frequent), 50.0);
    let constant = Some(Imputation::Constant);
    let own = ColumnSettings { impute: constant, fill_value: Some(20.0), scaling: Some(Scaling::MinMax) };
    assert_eq!(missing_age(own), 0.25);
}

#[test]
fn of_equally_frequent_values_the_smallest_stands_in() {
    let rows: String = ["2", "", "1", "3", "1", "2"].map(|x| format!("{x},train,{}\n", x.len())).concat();
    let (_folder, mut data) = file(&format!("x,part,y\n{rows}1,val,0\n2,test,1\n"));
    data.split.column = Some("part".to_string());
    let impute = Imputation::MostFrequent;
    let features = FeaturesConfig { impute, scaling: Scaling::None, ..FeaturesConfig::default() };
    assert_eq!(load(&data, &features, 1).unwrap().train.numeric, [2.0, 1.0, 1.0, 3.0, 1.0, 2.0]);
}

#[test]
fn a_target_can_be_learnt_as_a_logarithm_or_unscaled() {
    let rows: String = (0..50).map(|i| format!("{i},{}.5\n", i * i * 1000)).collect();
    let (_folder, mut data) = file(&format!("x,y\n{rows}"));
    data.target_transform = TargetTransform::Log;
    let splits = load(&data, &FeaturesConfig::default(), 1).unwrap();
    let preprocessor = Preprocessor::from_json(&splits.preprocessor.to_json().unwrap()).unwrap();
    let standard: Vec<f64> = splits.train.target.iter().map(|&y| preprocessor.standardize(y).into()).collect();
    let n = standard.len() as f64;
    let mean = standard.iter().sum::<f64>() / n;
    let variance = standard.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
    assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6, "{mean} {variance}");
    for &y in &splits.test.target {
        let back = preprocessor.restore(preprocessor.standardize(y));
        assert!((back - y).abs() <= 1e-5 * y, "{back} is not {y}");
    }
    assert_eq!(preprocessor.restore(1e6), f32::MAX, "no infinity");
    data.target_scaling = TargetScaling::None;
    let preprocessor = load(&data, &FeaturesConfig::default(), 1).unwrap().preprocessor;
    assert_eq!(preprocessor.standardize(1000.5), 1001.5f64.ln() as f32);
    data.target_transform = TargetTransform::None;
    let preprocessor = load(&data, &FeaturesConfig::default(), 1).unwrap().preprocessor;
    assert_eq!((preprocessor.standardize(1000.5), preprocessor.restore(1000.5)), (1000.5, 1000.5));
}

#[test]
fn types_can_be_overruled() {
    let (_folder, mut data) = people();
    data.types.insert("age".to_string(), ColumnKind::Categorical);
    let splits = load(&data, &FeaturesConfig::default(), 1).unwrap();
    assert!(splits.preprocessor.feature_names().contains(&"age=20".to_string()));
}

#[test]
fn a_file_can_have_no_header_another_delimiter_and_another_quote() {
    let (_folder, mut data) = file("1;'a;b';2.5\n2;c;3.5\n3;c;4.5\n4;d;1.25\n5;d;1\n");
    data.has_header = false;
    data.delimiter = ';';
    data.quote = Some('\'');
    data.target = "column_3".to_string();
    let table = read_table(&data).unwrap();
    assert_eq!(table.names().collect::<Vec<_>>(), ["column_1", "column_2", "column_3"]);
    assert_eq!(table.columns()[1].text(0).as_deref(), Some("a;b"));
    data.columns = ["n", "kind", "y"].map(String::from).to_vec();
    data.target = "y".to_string();
    let splits = load(&data, &FeaturesConfig::default(), 1).unwrap();
    assert_eq!(splits.info.problem_type, ProblemType::Regression);
    assert_eq!(splits.train.n_rows(), 3);
}

#[test]
fn blanks_quotes_and_byte_order_marks_are_handled() {
    let (_folder, mut data) = file("\u{feff}y, a \n1,  x\n2,5\" pipe\n\n3,\"l1\nl2\"\n");
    let table = read_table(&data).unwrap();
    assert_eq!(table.names().collect::<Vec<_>>(), ["y", "a"]);
    let cells: Vec<_> = (0..3).map(|row| table.columns()[1].text(row).unwrap()).collect();
    assert_eq!(cells, ["x", "5\" pipe", "l1\nl2"]);
    data.trim = false;
    assert_eq!(read_table(&data).unwrap().columns()[1].text(0).as_deref(), Some("  x"));
}

#[test]
fn the_problem_type_follows_the_target() {
    let problem = |values: &[&str]| {
        let text: String = values.iter().enumerate().map(|(i, y)| format!("{i},{y}\n")).collect();
        let (_folder, data) = file(&format!("x,y\n{}", text.repeat(4)));
        let info = load(&data, &FeaturesConfig::default(), 1).unwrap().info;
        (info.problem_type, info.classes, info.problem_reason)
    };
    let (kind, classes, reason) = problem(&["10", "9", "8"]);
    assert_eq!((kind, classes), (ProblemType::Multiclass, ["8", "9", "10"].map(String::from).to_vec()));
    assert_eq!(reason, "the target has 3 distinct integers (at most 20)");
    assert_eq!(problem(&["1.0", "0.0"]).1, ["0", "1"]);
    assert_eq!(problem(&["1", "0", "-0", "1.00", "0.0"]).1, ["0", "1"], "a number has one name");
    assert_eq!(problem(&["True", "0", "1", "false"]).1, ["false", "true"]);
    let twice: Vec<String> = (0..11).flat_map(|i| [i.to_string(), format!("{i}.0")]).collect();
    let reason = problem(&twice.iter().map(String::as_str).collect::<Vec<_>>()).2;
    assert_eq!(reason, "the target has 11 distinct integers (at most 20)");
    let ids = ["9007199254740992", "9007199254740993"];
    assert_eq!(problem(&ids).1.len(), 2, "two numbers that an f64 cannot tell apart");
    assert_eq!(problem(&["True", "False"]).1, ["false", "true"]);
    assert_eq!(problem(&["no", "yes"]).0, ProblemType::Binary);
    assert_eq!(problem(&["1", "2.5"]).0, ProblemType::Regression);
    let many: Vec<String> = (0..21).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(problem(&many).0, ProblemType::Regression);
    assert_eq!(problem(&many[..20]).0, ProblemType::Multiclass);
}

#[test]
fn the_positive_class_comes_last() {
    let (_folder, mut data) = people();
    let before = load(&data, &FeaturesConfig::default(), 1).unwrap();
    data.positive_class = Some("no".to_string());
    let after = load(&data, &FeaturesConfig::default(), 1).unwrap();
    assert_eq!((before.info.classes.join(","), after.info.classes.join(",")), ("no,yes".into(), "yes,no".into()));
    let flipped: Vec<f32> = before.train.target.iter().map(|y| 1.0 - y).collect();
    assert_eq!(after.train.target, flipped);
}

#[test]
fn bins_turn_a_number_into_classes() {
    let mut data = DataConfig { source: Some(Builtin::WineQuality), target: "quality".into(), ..DataConfig::default() };
    data.target_bins = Some(TargetBins { edges: vec![6.5], labels: vec!["bad".into(), "good".into()] });
    let splits = load(&data, &FeaturesConfig::default(), 42).unwrap();
    assert_eq!((splits.info.problem_type, splits.info.classes.join(",")), (ProblemType::Binary, "bad,good".into()));
    let counts: Vec<_> = splits.info.parts.iter().map(|part| part.class_counts.clone()).collect();
    assert_eq!(counts, [[828, 131], [277, 43], [277, 43]]);
    data.positive_class = Some("bad".to_string());
    let swapped = load(&data, &FeaturesConfig::default(), 42).unwrap();
    assert_eq!(swapped.test.target.iter().filter(|&&y| y == 1.0).count(), 277);
    let edge = TargetBins { edges: vec![5.0], labels: vec!["low".into(), "high".into()] };
    assert_eq!((edge.bin(5.0), edge.bin(5.1)), (0, 1), "a value on the border goes left");
}

#[test]
fn the_wines_have_their_published_shape() {
    let mut data = DataConfig { source: Some(Builtin::WineQuality), target: "quality".into(), ..DataConfig::default() };
    let table = read_table(&data).unwrap();
    assert_eq!((table.n_rows(), table.columns().len()), (1599, 12));
    let first: Vec<_> = table.columns().iter().map(|column| column.text(0).unwrap()).collect();
    assert_eq!(first.join(" "), "7.4 0.7 0 1.9 0.076 11 34 0.9978 3.51 0.56 9.4 5");
    let info = load(&data, &FeaturesConfig::default(), 42).unwrap().info;
    assert_eq!((info.name.as_str(), info.source_type.as_str(), info.files), ("wine_quality", "code", Vec::new()));
    assert_eq!(info.classes, ["3", "4", "5", "6", "7", "8"]);
    assert_eq!(info.parts.iter().map(|part| part.n_rows).collect::<Vec<_>>(), [959, 320, 320]);
    data.problem_type = ProblemTypeSetting::Regression;
    let splits = load(&data, &FeaturesConfig::default(), 42).unwrap();
    let standardized = splits.preprocessor.standardize(splits.train.target[0]);
    assert!((splits.preprocessor.restore(standardized) - splits.train.target[0]).abs() < 1e-6);
    let sum: f64 = splits.train.target.iter().map(|&y| f64::from(splits.preprocessor.standardize(y))).sum();
    assert!(sum.abs() < 1e-3, "{sum}");
}

#[test]
fn the_preprocessor_survives_json_and_repeats_itself() {
    let (_folder, data) = people();
    for categorical in [CategoricalEncoding::OneHot, CategoricalEncoding::Embedding] {
        let features = FeaturesConfig { categorical, missing_indicator: true, ..FeaturesConfig::default() };
        let splits = load(&data, &features, 1).unwrap();
        let stored = Preprocessor::from_json(&splits.preprocessor.to_json().unwrap()).unwrap();
        assert_eq!(stored, splits.preprocessor);
        let raw = read_table(&data).unwrap();
        let whole = stored.transform(&raw).unwrap();
        let target = stored.encode_target(&raw).unwrap();
        let width = stored.n_numeric();
        for part in [&splits.train, &splits.valid, &splits.test] {
            for (i, &row) in part.row_numbers.iter().enumerate() {
                let row = row as usize;
                assert_eq!(part.numeric[i * width..(i + 1) * width], whole.numeric[row * width..(row + 1) * width]);
                assert_eq!(part.target[i], target[row]);
            }
        }
        assert_eq!(whole.categorical.len(), 14 * stored.cardinalities().len());
    }
}

#[test]
fn inference_needs_the_features_only() {
    let (_folder, data) = people();
    let preprocessor = load(&data, &FeaturesConfig::default(), 1).unwrap().preprocessor;
    let cell = |text: &str| vec![Some(text.to_string())];
    let member = Column::new("member", cell("false"));
    let [city, age] = [Column::new("city", vec![None]), Column::new("age", cell("3.5"))];
    let table = Table::new("request", vec![member.clone(), city, age]).unwrap();
    assert_eq!(preprocessor.transform(&table).unwrap().numeric.len(), 6);
    let table = Table::new("request", vec![member.clone(), Column::new("town", cell("Bern"))]).unwrap();
    let message = preprocessor.transform(&table).unwrap_err().to_string();
    assert_eq!(message, "`request` has no column `age` (named in the model's inputs); there are `member`, `town`");
    let table = Table::new("request", vec![member, Column::new("age", cell("old"))]).unwrap();
    let message = preprocessor.transform(&table).unwrap_err().to_string();
    assert!(message.starts_with("`request`, column `age`, row 1: `old` is not a number"), "{message}");
}

/// Cells that make a column take another storage on the way; all come back as they were.
#[test]
fn every_cell_is_given_back_as_it_was_read() {
    let short = ["1", "0.50", "-3", "", "12345678"];
    let long = ["0.1234567890123456", "9007199254740993", "-0.13826430117118466"];
    let odd = ["1e-05", "+1", "007", "-0", "3.", ".5", "12345678901234567890.25"];
    let text = ["a", "", "TRUE", "a", "Zürich"];
    let all: Vec<&str> = [&short[..], &odd, &long, &odd, &short, &text, &odd].concat();
    for end in 1..=all.len() {
        let cells: Vec<Option<String>> =
            all[..end].iter().map(|text| (!text.is_empty()).then(|| text.to_string())).collect();
        let column = Column::new("x", cells.clone());
        let back: Vec<Option<String>> = (0..end).map(|row| column.text(row).map(|text| text.into_owned())).collect();
        assert_eq!(back, cells);
        assert!((0..end).all(|row| column.is_missing(row) == cells[row].is_none()));
        let rows: Vec<u32> = (0..end as u32).collect();
        if end <= 5 + 7 + 3 + 7 + 5 {
            let numbers = column.numbers(&rows, "f").unwrap();
            let expected: Vec<Option<f64>> = cells.iter().map(|c| c.as_ref().map(|c| c.parse().unwrap())).collect();
            assert_eq!(numbers, expected);
        } else {
            assert!(column.numbers(&rows, "f").is_err());
            assert_eq!(column.column_type(), Some(ColumnType::String));
        }
    }
    let column = Column::from_numbers("z", vec![Some(0.1), None, Some(f64::NAN), Some(2.0), Some(f64::INFINITY)]);
    let texts: Vec<_> = (0..5).map(|row| column.text(row)).collect();
    assert_eq!(texts, [Some("0.1".into()), None, None, Some("2".into()), Some("inf".into())]);
    assert_eq!(column.numbers(&[0, 1, 2, 3], "f").unwrap(), [Some(0.1), None, None, Some(2.0)]);
    let error = column.numbers(&[0, 4], "f").unwrap_err().to_string();
    assert!(error.starts_with("`f`, column `z`, row 5: `inf` is not a number"), "{error}");
}

/// Many numbers that no decimal packs: the column is text inside, and still numeric.
#[test]
fn a_column_of_exponents_is_numeric() {
    let rows: String = (1..3000).map(|i| format!("{i}e-3,{}\n", i % 2)).collect();
    let (_folder, data) = file(&format!("x,y\n{rows}"));
    let table = read_table(&data).unwrap();
    assert_eq!(table.columns()[0].column_type(), Some(ColumnType::Double));
    assert_eq!(table.columns()[0].numbers(&[0, 2998], "f").unwrap(), [Some(1e-3), Some(2.999)]);
    assert_eq!(table.columns()[0].text(2998).as_deref(), Some("2999e-3"));
}

fn three_files() -> (tempfile::TempDir, DataConfig) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        Some(folder.path().join(name))
    };
    let train: String = (0..40).map(|i| format!("{i},{},{}\n", ["a", "b"][i % 2], i % 4 / 2)).collect();
    let data = DataConfig {
        train_path: write("train.csv", &format!("n,kind,y\n{train}")),
        valid_path: write("valid.csv", "n,kind,y\n100.25,b,0\n101,c,1\n"),
        test_path: write("test.csv", "y,n,kind\n1,200,a\n0,2e2,\n1,202,b\n"),
        target: "y".to_string(),
        ..DataConfig::default()
    };
    (folder, data)
}

#[test]
fn each_part_can_have_its_own_file() {
    let (folder, mut data) = three_files();
    let features = FeaturesConfig { scaling: Scaling::None, ..FeaturesConfig::default() };
    let splits = load(&data, &features, 1).unwrap();
    assert_eq!(splits.preprocessor.feature_names(), ["n", "kind=a", "kind=b"]);
    assert_eq!(splits.train.n_rows(), 40);
    assert_eq!(splits.valid.numeric, [100.25, 0.0, 1.0, 101.0, 0.0, 0.0], "a new level has no column");
    assert_eq!(splits.test.numeric, [200.0, 1.0, 0.0, 200.0, 0.0, 0.0, 202.0, 0.0, 1.0]);
    assert_eq!(
        (splits.test.target.as_slice(), splits.test.row_numbers.as_slice()),
        (&[1.0, 0.0, 1.0][..], &[42, 43, 44][..])
    );
    let path = folder.path().join("predictions.csv");
    splits.write_predictions(&[], &path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "n,kind,y\n200,a,1\n2e2,,0\n202,b,1\n");
    let info = &splits.info;
    assert_eq!((info.name.as_str(), info.n_rows, info.files.len()), ("train", 45, 3));
    // sha256sum valid.csv
    assert_eq!(info.files[1].sha256, "fee3e921b4e8437ef2320ce404795217edd2690593459d05244b07145aed00c6");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let uris = [place("train.csv"), place("valid.csv"), place("test.csv")];
    let [uri, valid, test] = &uris;
    assert_eq!(info.source, format!("{{\"uri\":\"{uri}\",\"valid_uri\":\"{valid}\",\"test_uri\":\"{test}\"}}"));

    let digest = &info.digest;
    fs::write(folder.path().join("test.csv"), "y,n,kind\n1,200,a\n0,2e2,\n0,202,b\n").unwrap();
    assert_ne!(&load(&data, &features, 1).unwrap().info.digest, digest, "the digest covers all files");
    data.valid_path = None;
    data.split.valid = 0.25;
    let dealt = load(&data, &features, 1).unwrap();
    assert_eq!([&dealt.train, &dealt.valid, &dealt.test].map(Part::n_rows), [30, 10, 3]);
    assert_eq!(dealt.info.parts[1].class_counts, [5, 5], "stratified");
    assert_eq!(dealt.test.row_numbers, [40, 41, 42]);
}

#[test]
fn groups_stay_in_one_part() {
    let rows: String = (0..300).map(|i| format!("{i},g{},{}\n", i * 7 % 30, i % 2)).collect();
    let (_folder, mut data) = file(&format!("x,who,y\n{rows}"));
    data.split.group = Some("who".to_string());
    let splits = load(&data, &FeaturesConfig::default(), 3).unwrap();
    assert_eq!(splits.info.feature_columns, ["x"]);
    let parts = [&splits.train, &splits.valid, &splits.test];
    assert_eq!(parts.map(Part::n_rows), [180, 60, 60]);
    let groups = parts.map(|part| part.row_numbers.iter().map(|row| row * 7 % 30).collect::<BTreeSet<_>>());
    assert_eq!(groups.each_ref().map(BTreeSet::len), [18, 6, 6], "whole groups of 10 rows, each in one part");
}

#[test]
fn predictions_repeat_the_raw_rows() {
    let (folder, data) = people();
    let splits = load(&data, &FeaturesConfig::default(), 1).unwrap();
    let path = folder.path().join("predictions.csv");
    let proba = [0.25f32, 1.0 / 3.0].map(|p| p.to_string()).to_vec();
    splits.write_predictions(&[("y_pred", vec!["no".into(), "yes, sure".into()]), ("y_proba", proba)], &path).unwrap();
    let expected = "id,age,city,member,empty,const,y,part,y_pred,y_proba\n\
                    13,,Basel,false,,k,yes,test,no,0.25\n\
                    14,80,,true,,k,no,TEST,\"yes, sure\",0.33333334\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    let short = splits.write_predictions(&[("y_pred", Vec::new())], &path).unwrap_err();
    assert_eq!(short.to_string(), "column `y_pred` has 0 values for 2 rows");
}

#[test]
fn the_digest_follows_values_and_split_only() {
    let (_folder, mut data) = people();
    let digest = |data: &DataConfig, features: &FeaturesConfig, seed| load(data, features, seed).unwrap().info.digest;
    let standard = FeaturesConfig::default();
    let first = digest(&data, &standard, 1);
    assert_eq!(first, "8cea32ec4e0e744e5db6c3d658191aa2", "pinned, and equal to a hashlib version of the rule");
    let scaled = FeaturesConfig { scaling: Scaling::MinMax, ..FeaturesConfig::default() };
    assert_eq!(digest(&data, &scaled, 2), first);
    data.null_values.push("Chur".to_string());
    assert_ne!(digest(&data, &standard, 1), first);
    data.null_values.pop();
    data.split.column = None;
    data.ignore_columns = vec!["part".to_string()];
    let one = digest(&data, &standard, 1);
    assert_eq!(one, digest(&data, &standard, 1));
    assert_ne!(one, digest(&data, &standard, 2));
}

#[test]
fn info_speaks_mlflow() {
    let (_folder, mut data) = people();
    data.ignore_columns = vec!["city".to_string()];
    let info = load(&data, &FeaturesConfig::default(), 1).unwrap().info;
    let schema = "{\"mlflow_colspec\":[{\"type\":\"double\",\"name\":\"age\",\"required\":false},\
                  {\"type\":\"boolean\",\"name\":\"member\",\"required\":true},\
                  {\"type\":\"string\",\"name\":\"y\",\"required\":true}]}";
    assert_eq!(info.schema, schema);
    let path = data.path.clone().unwrap().display().to_string();
    assert_eq!((info.source_type.as_str(), info.source), ("local", format!("{{\"uri\":\"{path}\"}}")));
    let profile = "{\"num_rows\":14,\"num_elements\":112,\"num_train_rows\":10,\"train_class_counts\":{\"no\":7,\"yes\":3},\
                   \"num_valid_rows\":2,\"valid_class_counts\":{\"no\":1,\"yes\":1},\
                   \"num_test_rows\":2,\"test_class_counts\":{\"no\":1,\"yes\":1}}";
    assert_eq!(info.profile, profile);
    assert_eq!((info.name.as_str(), info.problem_reason.as_str()), ("people", "the target is text"));
    data.url = Some("https://example.org/people.csv".to_string());
    let info = load(&data, &FeaturesConfig::default(), 1).unwrap().info;
    assert_eq!(
        (info.source_type.as_str(), info.source.as_str()),
        ("http", "{\"url\":\"https://example.org/people.csv\"}")
    );
}

#[test]
fn files_can_write_integers_and_booleans_in_their_own_ways() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        fs::write(folder.path().join(name), text).unwrap();
        Some(folder.path().join(name))
    };
    let rows: String =
        (0..40).map(|i| format!("{},{},{i}\n", i % 3, ["True", "False"][usize::from(i % 4 == 0)])).collect();
    let mut data = DataConfig {
        train_path: write("train.csv", format!("kind,flag,y\n{rows}")),
        valid_path: write("valid.csv", "kind,flag,y\n2.0,1,5\n0.0,0,6\n".to_string()),
        test_path: write("test.csv", "kind,flag,y\n1.0,1,7\n1,0,8.5\n".to_string()),
        target: "y".to_string(),
        ..DataConfig::default()
    };
    data.types.insert("kind".to_string(), ColumnKind::Categorical);
    let features = FeaturesConfig { scaling: Scaling::None, ..FeaturesConfig::default() };
    let splits = load(&data, &features, 1).unwrap();
    assert_eq!(splits.preprocessor.feature_names(), ["flag", "kind=0", "kind=1", "kind=2"]);
    assert_eq!(splits.train.numeric[..8], [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(splits.valid.numeric, [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(splits.test.numeric, [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn codes_and_versions_keep_their_digits() {
    for (cells, names) in [(["007", "7"], ["c=007", "c=7"]), (["1.10", "1.1"], ["c=1.1", "c=1.10"])] {
        let rows: String = (0..40).map(|i| format!("{},{i}\n", cells[i % 2])).collect();
        let (_folder, mut data) = file(&format!("c,y\n{rows}"));
        data.types.insert("c".to_string(), ColumnKind::Categorical);
        assert_eq!(load(&data, &FeaturesConfig::default(), 1).unwrap().preprocessor.feature_names(), names);
    }
}

#[test]
fn stray_text_among_numbers_is_named() {
    let rows: String =
        (0..100).map(|i| format!("{},{i}\n", if i == 4 { "unknown" } else { ["1", "2", "3"][i % 3] })).collect();
    let (_folder, mut data) = file(&format!("x,y\n{rows}"));
    let warnings = load(&data, &FeaturesConfig::default(), 1).unwrap().info.warnings;
    let expected = "column `x` is text, since row 5 has `unknown`, but 99 of its 100 values are numbers; if that stands \
                    for a missing value, add it to `data.null_values`";
    assert_eq!(warnings, [expected]);
    data.types.insert("x".to_string(), ColumnKind::Categorical);
    assert_eq!(load(&data, &FeaturesConfig::default(), 1).unwrap().info.warnings, [""; 0]);
}

/// f32 keeps 24 bits: numbers near 1.7e9 are multiples of 128.
#[test]
fn targets_that_32_bits_cannot_tell_apart_are_named() {
    let table = |step: f64| {
        let rows: String = (0..100).map(|i| format!("{i},{}\n", 1.7e9 + f64::from(i) * step)).collect();
        file(&format!("x,y\n{rows}"))
    };
    let warnings = |step| {
        let (_folder, data) = table(step);
        load(&data, &FeaturesConfig::default(), 1).unwrap().info.warnings
    };
    let coarse = warnings(10.0);
    assert!(coarse[0].starts_with("column `y`: 32-bit numbers hold it to ±6") && coarse.len() == 1, "{coarse:?}");
    assert!(coarse[0].contains("standard deviation; subtract a constant such as 1700000"), "{coarse:?}");
    assert_eq!(warnings(1e5), [""; 0]);
    let (_folder, data) = table(0.1);
    let message = load(&data, &FeaturesConfig::default(), 1).unwrap_err().to_string();
    assert!(message.contains("`y` is 1700000000 in every train row, as far as 32-bit numbers tell"), "{message}");
}

#[test]
fn no_feature_is_infinite() {
    let rows: String = (0..50).map(|i| format!("{}e-30,{i}\n", i % 4)).collect();
    let (_folder, data) = file(&format!("x,y\n{rows}"));
    let preprocessor = load(&data, &FeaturesConfig::default(), 1).unwrap().preprocessor;
    let table = Table::new("request", vec![Column::new("x", vec![Some("1e30".to_string())])]).unwrap();
    assert_eq!(preprocessor.transform(&table).unwrap().numeric, [f32::MAX]);
}

#[test]
fn doubtful_columns_are_reported() {
    let rows: String = (0..200).map(|i| format!("{i},name{i},2020-01-{:02},{i},{}\n", i % 28 + 1, i % 2)).collect();
    let (_folder, data) = file(&format!("n,who,when,,y\n{rows}"));
    let warnings = load(&data, &FeaturesConfig::default(), 1).unwrap().info.warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[2].starts_with("column `unnamed_4` has no name in the file"), "{warnings:?}");
    assert!(warnings[0].starts_with("column `who` has 120 levels"), "{warnings:?}");
    assert!(warnings[1].starts_with("column `when` looks like dates"), "{warnings:?}");
}

#[test]
fn settings_round_trip_and_reject_unknown_keys() {
    let data = DataConfig { path: Some(PathBuf::from("a.csv")), target: "y".into(), ..DataConfig::default() };
    let json = serde_json::to_string(&data).unwrap();
    assert_eq!(serde_json::from_str::<DataConfig>(&json).unwrap(), data);
    let message = serde_json::from_str::<DataConfig>("{\"traget\": \"y\"}").unwrap_err().to_string();
    assert!(message.contains("unknown field `traget`"), "{message}");
    let message = serde_json::from_str::<FeaturesConfig>("{\"scalling\": \"none\"}").unwrap_err().to_string();
    assert!(message.contains("unknown field `scalling`"), "{message}");
    let schema = serde_json::to_string(&schemars::schema_for!(DataConfig)).unwrap();
    assert!(schema.contains("The column to predict."), "{schema}");
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    fn pandas_types() -> DataConfig {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pandas_types.parquet"));
        DataConfig { path: Some(path), target: "ok".into(), ..DataConfig::default() }
    }

    #[test]
    fn a_parquet_file_is_read_by_its_declared_types() {
        let mut data = pandas_types();
        data.null_values.push("-999".to_string());
        let table = read_table(&data).unwrap();
        let column = |name: &str| table.columns().iter().find(|column| column.name == name).unwrap();
        let cells =
            |name: &str| (0..4).map(|row| column(name).text(row).unwrap_or("_".into())).collect::<Vec<_>>().join(" ");
        assert_eq!(
            (cells("ok"), column("ok").column_type()),
            ("true false true true".into(), Some(ColumnType::Boolean))
        );
        assert_eq!((cells("word"), column("word").column_type()), ("a b _ a".into(), Some(ColumnType::String)));
        assert_eq!((cells("x"), column("x").column_type()), ("1.5 _ 2.25 _".into(), Some(ColumnType::Double)));
        assert_eq!((cells("n"), column("n").column_type()), ("1 _ 3 4".into(), Some(ColumnType::Double)));
        assert_eq!((cells("f"), column("id").column_type()), ("0.1 0.2 0.3 0.4".into(), Some(ColumnType::Long)));
        assert_eq!((cells("small"), column("small").column_type()), ("1 2 3 4".into(), Some(ColumnType::Long)));
        assert_eq!((cells("kind"), column("kind").column_type()), ("u v u v".into(), Some(ColumnType::String)));
        assert_eq!(
            (cells("when"), column("when").column_type()),
            (["2020-01-01 00:00:00.000000"; 4].join(" "), Some(ColumnType::String))
        );
    }

    #[test]
    fn a_flipped_byte_is_an_error_or_another_value_but_no_panic() {
        let whole = fs::read(pandas_types().path.unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flipped.parquet");
        let mut n_errors = 0;
        for place in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0xFF;
            fs::write(&path, &bytes).unwrap();
            let data = DataConfig { path: Some(path.clone()), format: Format::Parquet, ..pandas_types() };
            n_errors += usize::from(read_table(&data).is_err());
        }
        assert!(n_errors > 50, "{n_errors}");
    }

    #[test]
    fn other_types_and_damaged_files_are_named() {
        for (column, found) in [("price", "Decimal"), ("tags", "LargeList"), ("zoned", "Timestamp")] {
            let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/other_types.parquet"));
            let mut ignore_columns = ["price", "tags", "zoned"].map(String::from).to_vec();
            ignore_columns.retain(|name| name != column);
            let data = DataConfig { path: Some(path), target: "y".into(), ignore_columns, ..DataConfig::default() };
            let message = read_table(&data).unwrap_err().to_string();
            assert!(message.contains(&format!("column `{column}` has the Parquet type {found}")), "{message}");
        }
        let whole = fs::read(pandas_types().path.unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.parquet");
        for length in [4, 5, 100, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let data = DataConfig { path: Some(path.clone()), ..pandas_types() };
            let message = read_table(&data).unwrap_err().to_string();
            assert!(message.contains("cut.parquet` cannot be read as Parquet"), "{message}");
        }
        fs::write(&path, "a,b\n1,2\n").unwrap();
        let data = DataConfig { path: Some(path), format: Format::Parquet, ..pandas_types() };
        let message = read_table(&data).unwrap_err().to_string();
        assert!(message.contains("it does not begin with `PAR1`; for a text file set `data.format: csv`"), "{message}");
    }
}
