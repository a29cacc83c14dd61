//! Written columns come back as they were.

#![allow(clippy::unwrap_used)]

use dataset::*;

fn columns() -> Vec<(String, OutputColumn)> {
    [
        ("name", OutputColumn::Text(vec!["a, b".to_string(), "\"c\"".to_string()])),
        ("step", OutputColumn::Whole(vec![-1, 2])),
        ("time", OutputColumn::Time(vec![0, 1_467_381_600])),
        ("value", OutputColumn::Number(vec![0.1 + 0.2, f64::NAN])),
    ]
    .map(|(name, column)| (name.to_string(), column))
    .to_vec()
}

#[test]
fn csv_and_parquet_hold_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    for (format, file) in [(OutputFormat::Csv, "out.csv"), (OutputFormat::Parquet, "out.parquet")] {
        let path = folder.path().join(file);
        write_columns(&columns(), format, &path).unwrap();
        let table = read_table(&DataConfig { path: Some(path), ..DataConfig::default() }).unwrap();
        assert_eq!(table.names().collect::<Vec<_>>(), ["name", "step", "time", "value"]);
        let text = |column: usize, row: usize| table.columns()[column].text(row).map(|text| text.into_owned());
        assert_eq!(text(0, 0).unwrap(), "a, b");
        assert_eq!(text(0, 1).unwrap(), "\"c\"");
        assert_eq!(text(1, 0).unwrap().parse::<f64>().unwrap(), -1.0);
        assert!(text(2, 1).unwrap().replace('T', " ").starts_with("2016-07-01 14:00:00"), "{:?}", text(2, 1));
        assert_eq!(text(3, 0).unwrap().parse::<f64>().unwrap(), 0.1 + 0.2);
        assert_eq!(text(3, 1), None, "NaN is missing");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn columns_of_different_lengths_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let columns =
        [("a", vec![1, 2]), ("b", vec![1])].map(|(name, values)| (name.to_string(), OutputColumn::Whole(values)));
    let path = folder.path().join("out.csv");
    let error = write_columns(&columns, OutputFormat::Csv, &path).unwrap_err().to_string();
    assert_eq!(error, "column `b` has 1 values for 2 rows");
    assert!(!path.exists());
}
