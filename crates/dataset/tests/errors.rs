//! Each fault of a data set is found before training, and its message says where it is and what to do.

#![allow(clippy::unwrap_used)]

use std::fs;

use dataset::*;

/// The message for a file of these bytes under settings changed by `change`; `FILE` stands for the path.
fn message(bytes: impl AsRef<[u8]>, change: impl FnOnce(&mut DataConfig)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.csv");
    fs::write(&path, bytes).unwrap();
    let mut data = DataConfig { path: Some(path.clone()), target: "y".to_string(), ..DataConfig::default() };
    change(&mut data);
    let error = load(&data, &FeaturesConfig::default(), 1).expect_err("the data is faulty");
    error.to_string().replace(&path.display().to_string(), "FILE")
}

fn unchanged(_: &mut DataConfig) {}

/// A target of two classes and a feature, 20 rows.
fn table(row: impl Fn(usize) -> String) -> String {
    (0..20).fold("x,y\n".to_string(), |text, i| text + &row(i) + "\n")
}

fn good() -> String {
    table(|i| format!("{i},{}", i % 2))
}

#[test]
fn files_that_are_not_there() {
    let data = DataConfig { path: Some("no/such.csv".into()), target: "y".into(), ..DataConfig::default() };
    let error = load(&data, &FeaturesConfig::default(), 1).unwrap_err().to_string();
    let here = std::env::current_dir().unwrap().join("no/such.csv");
    assert_eq!(error, format!("no file `no/such.csv` (looked for `{}`); check `data.path`", here.display()));
    let data = DataConfig { path: Some("src".into()), ..data };
    let error = load(&data, &FeaturesConfig::default(), 1).unwrap_err().to_string();
    assert_eq!(error, "`src` is a folder; set `data.path` to a CSV or Parquet file in it");
}

#[test]
fn files_without_rows() {
    assert_eq!(message(" \n\n", unchanged), "`FILE` is empty; it needs a header and at least one row");
    assert_eq!(message("x,y\n", unchanged), "`FILE` has a header but no rows");
}

#[test]
fn files_of_another_kind() {
    let gzip = message([0x1F, 0x8B, 8, 0], unchanged);
    assert_eq!(gzip, "`FILE` is gzip-compressed, not a CSV or Parquet file; decompress it first");
    assert!(message(b"PK\x03\x04rest", unchanged).contains("an Excel workbook"));
}

#[test]
fn ragged_rows() {
    let ragged = message("x,y\n1,2\n\n\"a\nb\",3\n4\n", unchanged);
    let expected = "`FILE`, row 3 (line 6) has 1 values, but there are 2 columns; \
                    look for an unquoted delimiter or an unclosed quote there";
    assert_eq!(ragged, expected);
    let unclosed = message("x,y\n1,2\n3,\"4\n5,6\n", unchanged);
    assert!(unclosed.starts_with("`FILE`, row 2: a quote that is never closed"), "{unclosed}");
}

#[test]
fn wrong_delimiters() {
    let semicolon = message("x;y\n1,5;2\n", unchanged);
    let expected = "`FILE` has one column; it looks like `;` separates the columns: set `data.delimiter: \";\"`";
    assert_eq!(semicolon, expected);
    assert!(message("x\ty\n1\t2\n", unchanged).contains("set `data.delimiter: \"\\t\"`"));
    assert!(message("x,y\n1,2\n", |data| data.delimiter = ';').contains("it looks like `,` separates"));
    let one = message("y\n1\n0\n1\n0\n1\n0\n", unchanged);
    assert!(one.starts_with("`FILE`: no feature is left beside the target `y`"), "{one}");
}

#[test]
fn other_encodings() {
    let latin = message(b"x,y\n1,2\nZ\xFCrich,3\n", unchanged);
    let expected = "`FILE`, row 2 (line 3), column `x`: byte 0xFC is not UTF-8 text; \
                    save the file as UTF-8 (it may be Latin-1 or UTF-16)";
    assert_eq!(latin, expected);
    assert!(message(b"\xFF\xFEx\0,\0y\0", unchanged).contains("`FILE`, the header: byte 0xFF"));
}

#[test]
fn column_names() {
    let twice = message("x,x,y\n1,2,3\n", unchanged);
    assert_eq!(twice, "`FILE`: two columns are named `x`; rename one of them");
    let named = |data: &mut DataConfig| {
        data.has_header = false;
        data.columns = vec!["x".to_string()];
    };
    assert_eq!(message("1,2\n", named), "`FILE` has 2 columns, but `data.columns` lists 1 names");
}

#[test]
fn names_that_no_column_has() {
    let target = message(good(), |data| data.target = "Y1".to_string());
    assert_eq!(target, "`FILE` has no column `Y1` (named in `data.target`); did you mean `y`?");
    let far = message(good(), |data| data.target = "income".to_string());
    assert_eq!(far, "`FILE` has no column `income` (named in `data.target`); there are `x`, `y`");
    assert!(message(good(), |data| data.id_columns = vec!["id".into()]).contains("(named in `data.id_columns`)"));
    assert!(message(good(), |data| data.split.column = Some("s".into())).contains("(named in `data.split.column`)"));
    let types = message(good(), |data| data.types = [("z".to_string(), ColumnKind::Numeric)].into());
    assert!(types.contains("(named in `data.types`)"), "{types}");
    let unset = message(good(), |data| data.target.clear());
    assert_eq!(unset, "`data.target` is not set: which column of `FILE` is to be predicted? There are `x`, `y`");
    let role = message(good(), |data| data.ignore_columns = vec!["y".into()]);
    assert_eq!(role, "column `y` is the target, so it cannot be listed in `data.ignore_columns` too");
}

#[test]
fn targets_that_cannot_be_learnt() {
    let missing = message("x,y\n1,2\n2,?\n3,\n", unchanged);
    assert_eq!(missing, "`FILE`: the target `y` is missing in 2 rows, first in row 2; fill or remove these rows");
    let one = message(table(|i| format!("{i},a")), unchanged);
    assert_eq!(one, "`FILE`: every row has the same target, `y` = `a`; there is nothing to learn");
    let constant = message(table(|i| format!("{i},0.5")), unchanged);
    assert!(constant.contains("`y` = `0.5`"), "{constant}");
    let text = message(table(|i| format!("{i},{}", if i == 7 { "much" } else { "1.5" })), |data| {
        data.problem_type = ProblemTypeSetting::Regression;
    });
    let expected = "`FILE`, column `y`, row 8: `much` is not a number (or one beyond 3.4e38); \
                    correct it, or add it to `data.null_values` if it means a missing value";
    assert_eq!(text, expected);
    let names = message(table(|i| format!("{i},n{i}")), unchanged);
    assert!(names.starts_with("`FILE`: the target `y` has 20 classes in 20 rows"), "{names}");
}

#[test]
fn class_settings_that_do_not_fit() {
    let three = || table(|i| format!("{i},{}", ["a", "b", "c"][i % 3]));
    let count = message(three(), |data| data.num_classes = Some(4));
    assert_eq!(count, "`FILE`: `data.num_classes` asks for 4 classes, but the target `y` has 3: `a`, `b`, `c`");
    let binary = message(three(), |data| data.problem_type = ProblemTypeSetting::Binary);
    assert!(binary.contains("`data.problem_type: binary` asks for 2 classes"), "{binary}");
    let multi = message(good(), |data| data.problem_type = ProblemTypeSetting::Multiclass);
    assert!(multi.contains("`multiclass` needs at least 3 classes"), "{multi}");
    let positive = message(good(), |data| data.positive_class = Some("yes".into()));
    let expected =
        "`FILE`: the target `y` has no class `yes` (named in `data.positive_class`); the classes are `0`, `1`";
    assert_eq!(positive, expected);
    assert!(message(three(), |data| data.positive_class = Some("a".into())).contains("only a binary problem has one"));
    let numbers = message(table(|i| format!("{i},{i}.5")), |data| data.num_classes = Some(2));
    assert!(numbers.contains("the problem is a regression"), "{numbers}");
    let bins = |edge| TargetBins { edges: vec![edge], labels: vec!["low".into(), "high".into()] };
    let empty = message(good(), |data| data.target_bins = Some(bins(7.0)));
    let expected = "`FILE`: the target `y` has no class `high` (named in `data.target_bins`); the classes are `low`";
    assert_eq!(empty, expected);
    let both = message(good(), |data| {
        data.target_bins = Some(bins(0.5));
        data.problem_type = ProblemTypeSetting::Regression;
    });
    assert!(both.contains("`data.target_bins`: it makes classes"), "{both}");
}

#[test]
fn stray_text_in_numeric_columns() {
    let rows = |text: &str| {
        (0..40).fold("x,y\n".to_string(), |all, i| {
            all + &format!("{},{}\n", if i == 9 { text.to_string() } else { i.to_string() }, i % 2)
        })
    };
    let mixed = message(rows("n.a."), unchanged);
    let expected = "`FILE`, column `x`: 39 of 40 values are numbers, but row 10 holds `n.a.`; add it to \
                    `data.null_values` if it means a missing value, or set `data.types.x: categorical`";
    assert_eq!(mixed, expected);
    assert!(message(rows("inf"), unchanged).contains("row 10 holds `inf`"));
    let numeric = message(rows("inf"), |data| data.types = [("x".to_string(), ColumnKind::Numeric)].into());
    assert!(numeric.starts_with("`FILE`, column `x`, row 10: `inf` is not a number"), "{numeric}");
}

#[test]
fn splits_that_do_not_work() {
    let column = |data: &mut DataConfig| data.split.column = Some("s".into());
    let rows = |part: &str| format!("x,s,y\n1,train,a\n2,{part},b\n3,val,a\n4,test,a\n");
    let value = message(rows("dev"), column);
    assert_eq!(value, "`FILE`, column `s`: `dev` is no part (row 2); the values must be train, val and test");
    assert!(message(rows(""), column).contains("`a missing value` is no part (row 2)"));
    let unseen = message(rows("test"), column);
    assert_eq!(unseen, "`FILE`, row 2: class `b` occurs in test but in no train row; move a row of it into train");
    let empty = message("x,s,y\n1,train,a\n2,train,b\n3,val,a\n", column);
    assert!(empty.starts_with("`FILE`: test gets none of the 3 rows"), "{empty}");
    let small = message("x,y\n1,1.5\n2,2.5\n", unchanged);
    let expected = "`FILE`: valid gets none of the 2 rows; use more rows, or a larger share in `data.split`";
    assert_eq!(small, expected);
    let zero = message(good(), |data| data.split.test = 0.0);
    assert_eq!(zero, "`data.split.test`: `0` leaves a part empty; it must be between 0 and 1, like 0.2");
    assert!(message(good(), |data| data.split.test = 0.8).contains("leaves no rows to train on"));
    assert!(message(good(), |data| data.split.valid = f64::NAN).contains("`data.split.valid`"));
}

#[test]
fn files_per_part_that_do_not_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    let message = |files: [&str; 3], change: fn(&mut DataConfig)| {
        let [train_path, valid_path, test_path] = ["train", "valid", "test"].map(|name| Some(folder.path().join(name)));
        let mut data = DataConfig { train_path, valid_path, test_path, target: "y".into(), ..DataConfig::default() };
        for (path, text) in [&data.train_path, &data.valid_path, &data.test_path].into_iter().zip(files) {
            fs::write(path.as_ref().unwrap(), text).unwrap();
        }
        change(&mut data);
        let error = load(&data, &FeaturesConfig::default(), 1).expect_err("the data is faulty").to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    let (train, valid, test) = ("x,g,y\n1,a,u\n2,b,v\n3,c,u\n", "x,g,y\n4,d,u\n", "x,g,y\n5,e,u\n6,f,v\n");
    let lacks = message([train, valid, "x,y\n5,u\n"], unchanged);
    let expected = "`test` has no column `g` (named in `data.train_path`, whose columns every part needs); \
                    did you mean `x`?";
    assert_eq!(lacks, expected);
    let extra = message([train, "x,g,y,z\n4,d,u,1\n", test], unchanged);
    assert_eq!(extra, "`valid` has a column `z`, which `train` does not have; all parts need the same columns");
    let unseen = message([train, valid, "x,g,y\n5,e,u\n6,f,w\n"], unchanged);
    assert_eq!(unseen, "`test`, row 2: class `w` occurs in test but in no train row; move a row of it into train");
    let missing = message([train, "x,g,y\n4,d,\n", test], unchanged);
    assert!(missing.starts_with("`valid`: the target `y` is missing in 1 rows, first in row 1"), "{missing}");
    let numeric = |data: &mut DataConfig| data.types = [("x".to_string(), ColumnKind::Numeric)].into();
    let text = message([train, valid, "x,g,y\n5,e,u\nsix,f,v\n"], numeric);
    assert!(text.starts_with("`test`, column `x`, row 2: `six` is not a number"), "{text}");
    let ragged = message([train, valid, "x,g,y\n5,e\n"], unchanged);
    assert!(ragged.starts_with("`test`, row 1 (line 2) has 2 values"), "{ragged}");
    let group = |data: &mut DataConfig| data.split.group = Some("g".into());
    let leak = message([train, valid, "x,g,y\n5,e,u\n6,b,v\n"], group);
    let expected = "`test`, row 2: `b` of `data.split.group: g` is in test and in an earlier part too; \
                    a group must be in one part";
    assert_eq!(leak, expected);

    let key = |change| message([train, valid, test], change).split(':').next().unwrap().to_string();
    assert_eq!(key(|data| data.test_path = None), "`data.test_path`");
    assert_eq!(key(|data| data.train_path = None), "`data.train_path`");
    assert_eq!(key(|data| data.path = Some("a.csv".into())), "`data.train_path`");
    assert_eq!(key(|data| data.url = Some("http://a/b".into())), "`data.url`");
    assert_eq!(key(|data| data.split.column = Some("g".into())), "`data.split.column`");
    let unneeded = message([train, valid, "x,g,y\n"], |data| (data.split.valid, data.split.test) = (7.0, 7.0));
    assert_eq!(unneeded, "`test` has a header but no rows", "shares are not looked at");
}

#[test]
fn groups_that_cannot_be_split() {
    let rows = |groups: usize| {
        (0..20).fold("x,g,y\n".into(), |text: String, i| text + &format!("{i},g{},{}\n", i % groups, i % 3))
    };
    let group = |data: &mut DataConfig| data.split.group = Some("g".into());
    let two = message(rows(2), group);
    let expected = "`FILE`: test gets none of the 20 rows; `data.split.group` needs more groups, \
                    as each goes into one part";
    assert_eq!(two, expected);
    let role = message(good(), |data| data.split.group = Some("y".into()));
    assert_eq!(role, "column `y` is the target, so it cannot be listed in `data.split.group` too");
    let column = message("x,g,s,y\n1,a,train,u\n2,b,train,v\n3,a,val,u\n4,c,test,v\n", |data| {
        data.split.group = Some("g".into());
        data.split.column = Some("s".into());
    });
    assert!(column.starts_with("`FILE`, row 3: `a` of `data.split.group: g` is in valid and"), "{column}");
}

#[test]
fn number_settings_that_do_not_fit() {
    let log = |data: &mut DataConfig| data.target_transform = TargetTransform::Log;
    let classes = message(good(), log);
    let expected = "`data.target_transform`: it is for a number to predict, but the target becomes classes \
                    (the target has 2 distinct integers (at most 20))";
    assert_eq!(classes, expected);
    let unscaled = message(good(), |data| data.target_scaling = TargetScaling::None);
    assert!(unscaled.starts_with("`data.target_scaling`: it is for a number"), "{unscaled}");
    let negative = message(table(|i| format!("{i},{}.5", i as i64 - 3)), log);
    let expected = "`FILE`, column `y`, row 1: `data.target_transform: log` takes ln(1 + y), which `-3.5` has none of; \
                    every value must be above -1";
    assert_eq!(negative, expected);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.csv");
    fs::write(&path, table(|i| format!("{},{}", ["a", "b"][i % 2], i % 2))).unwrap();
    let data = DataConfig { path: Some(path), target: "y".into(), ..DataConfig::default() };
    let settings = |name: &str, fill_value| {
        let own = ColumnSettings { fill_value, ..ColumnSettings::default() };
        let features = FeaturesConfig { columns: [(name.to_string(), own)].into(), ..FeaturesConfig::default() };
        load(&data, &features, 1).unwrap_err().to_string()
    };
    assert!(settings("z", None).contains("no column `z` (named in `features.columns`)"));
    assert!(settings("x", None).starts_with("`features.columns`: column `x` is categorical"));
    assert!(settings("x", Some(f64::NAN)).starts_with("`features.fill_value`"));
    assert!(settings("x", Some(1e39)).starts_with("`features.fill_value`: it must be a number that 32 bits can hold"));
}

#[test]
fn settings_that_no_data_could_satisfy() {
    let key = |change: fn(&mut DataConfig)| message(good(), change).split(':').next().unwrap().to_string();
    assert_eq!(key(|data| data.path = None), "`data.path`");
    assert_eq!(key(|data| data.source = Some(Builtin::WineQuality)), "`data.source`");
    assert_eq!(key(|data| data.delimiter = '→'), "`data.delimiter`");
    assert_eq!(key(|data| data.quote = Some('’')), "`data.quote`");
    assert_eq!(key(|data| data.columns = vec!["a".into()]), "`data.columns`");
    assert_eq!(key(|data| data.num_classes = Some(1)), "`data.num_classes`");
    let bins = |edges: &[f64], labels: &[&str]| {
        let bins = TargetBins { edges: edges.to_vec(), labels: labels.iter().map(|l| l.to_string()).collect() };
        message(good(), |data| data.target_bins = Some(bins))
    };
    assert!(bins(&[2.0, 1.0], &["a", "b", "c"]).starts_with("`data.target_bins.edges`"));
    assert!(bins(&[1.0], &["a"]).contains("1 edges make 2 bins, but there are 1 labels"));
    assert!(bins(&[1.0], &["a", "a"]).contains("a label occurs twice"));
    let wide = FeaturesConfig { max_categories: Some(1), ..FeaturesConfig::default() };
    let data = DataConfig { source: Some(Builtin::WineQuality), target: "quality".into(), ..DataConfig::default() };
    assert!(load(&data, &wide, 1).unwrap_err().to_string().contains("`features.max_categories`"));
}

#[test]
fn text_columns_too_wide_for_memory() {
    let rows: String = (0..45_000).map(|i| format!("w{i},{}\n", i % 2)).collect();
    let wide = message(format!("word,y\n{rows}"), unchanged);
    assert!(wide.contains("27000 feature columns for 45000 rows do not fit"), "{wide}");
    assert!(wide.contains("or list `word` (27000 levels) in `data.ignore_columns`"), "{wide}");
}

#[test]
fn stored_preprocessors_of_another_version() {
    let data = DataConfig { source: Some(Builtin::WineQuality), target: "quality".into(), ..DataConfig::default() };
    let json = load(&data, &FeaturesConfig::default(), 1).unwrap().preprocessor.to_json().unwrap();
    let newer = Preprocessor::from_json(&json.replacen("\"version\": 2", "\"version\": 3", 1)).unwrap_err().to_string();
    assert!(newer.contains("it has version 3, this program reads version 2"), "{newer}");
    let data = DataConfig { problem_type: ProblemTypeSetting::Regression, ..data };
    let json = load(&data, &FeaturesConfig::default(), 1).unwrap().preprocessor.to_json().unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(value["target"]["encoding"]["number"]["std"].as_f64().unwrap() > 0.5);
    value["target"]["encoding"]["number"]["std"] = 0.into();
    let message = Preprocessor::from_json(&value.to_string()).unwrap_err().to_string();
    assert!(message.contains("cannot standardise `quality`"), "{message}");
    assert!(Preprocessor::from_json("{").unwrap_err().to_string().contains("cannot be used"));
}
