//! What `load` makes of good data.

#![allow(clippy::unwrap_used)]

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
    assert_eq!((info.name.as_str(), info.source_type.as_str(), info.file_sha256), ("wine_quality", "code", None));
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
