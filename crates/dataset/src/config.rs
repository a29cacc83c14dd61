//! The `data:` and `features:` blocks of a run file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EngineerConfig, Error, Result};

/// Where the rows come from, which column is the target, and how the rows are split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A built-in data set, in place of `path`.
    pub source: Option<Builtin>,
    /// The CSV or Parquet file; `split` divides it.
    pub path: Option<PathBuf>,
    /// A file of its own for the train rows, in place of `path`. `test_path` is then needed too.
    pub train_path: Option<PathBuf>,
    /// The file of the valid rows; without one, `split.valid` is the share of the train file's rows that is taken for them.
    pub valid_path: Option<PathBuf>,
    /// The file of the test rows. All files need the same columns, in any order.
    pub test_path: Option<PathBuf>,
    /// Where the file can be downloaded when it is not there yet.
    pub url: Option<String>,
    /// The sha256 that a downloaded file must have, in hex.
    pub sha256: Option<String>,
    /// The name shown for the data set; the file's stem or the source's name by default.
    pub name: Option<String>,
    /// The file's format; `auto` looks at its first bytes.
    pub format: Format,
    /// CSV: the character between two values, one ASCII character such as `;` or a tab.
    pub delimiter: char,
    /// CSV: the character around values that contain a delimiter; null where quotes mean nothing.
    pub quote: Option<char>,
    /// CSV: whether the first row holds the column names.
    pub has_header: bool,
    /// CSV without a header: the column names; `column_1`, `column_2`, .. by default.
    pub columns: Vec<String>,
    /// Texts that stand for a missing value; an empty cell always does.
    pub null_values: Vec<String>,
    /// Whether blanks around a value are dropped.
    pub trim: bool,
    /// The column to predict.
    pub target: String,
    /// What is predicted. `auto`: classes for text, booleans and up to 20 distinct integers, else a number.
    pub problem_type: ProblemTypeSetting,
    /// The number of classes that the data must have; it is an error if they do not.
    pub num_classes: Option<usize>,
    /// Binary: the class that counts as positive (index 1); the last in sorted order by default.
    pub positive_class: Option<String>,
    /// Turns a numeric target into classes.
    pub target_bins: Option<TargetBins>,
    /// Regression: what the network learns in place of the number itself. Predictions and metrics stay in the target's own
    /// units.
    pub target_transform: TargetTransform,
    /// Regression: how the (transformed) target is scaled for the network.
    pub target_scaling: TargetScaling,
    /// Columns that identify a row: no features, but kept in written predictions.
    pub id_columns: Vec<String>,
    /// Columns that are no features for any other reason; kept in written predictions.
    pub ignore_columns: Vec<String>,
    /// Column name to type, where the guess from the values is wrong (a postcode is `categorical`).
    pub types: BTreeMap<String, ColumnKind>,
    /// How rows are divided into train, valid and test.
    pub split: SplitConfig,
}

impl Default for DataConfig {
    fn default() -> Self {
        let null_values = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"];
        Self {
            source: None,
            path: None,
            train_path: None,
            valid_path: None,
            test_path: None,
            url: None,
            sha256: None,
            name: None,
            format: Format::Auto,
            delimiter: ',',
            quote: Some('"'),
            has_header: true,
            columns: Vec::new(),
            null_values: null_values.map(String::from).to_vec(),
            trim: true,
            target: String::new(),
            problem_type: ProblemTypeSetting::Auto,
            num_classes: None,
            positive_class: None,
            target_bins: None,
            target_transform: TargetTransform::None,
            target_scaling: TargetScaling::Standard,
            id_columns: Vec::new(),
            ignore_columns: Vec::new(),
            types: BTreeMap::new(),
            split: SplitConfig::default(),
        }
    }
}

impl DataConfig {
    /// Finds what is wrong with the settings themselves, before any file is opened.
    pub fn check(&self) -> Result<()> {
        self.check_sources()?;
        if !self.delimiter.is_ascii() || Some(self.delimiter) == self.quote {
            return invalid("data.delimiter", "it must be one ASCII character other than `data.quote`");
        }
        if self.quote.is_some_and(|quote| !quote.is_ascii()) {
            return invalid("data.quote", "it must be one ASCII character, or null");
        }
        if self.has_header && !self.columns.is_empty() {
            return invalid("data.columns", "the file has its own names; set `data.has_header: false` or remove it");
        }
        if self.num_classes.is_some_and(|n| n < 2) {
            return invalid("data.num_classes", "it must be at least 2");
        }
        if let Some(bins) = &self.target_bins {
            bins.check()?;
        }
        self.split.check(self.test_path.is_none(), self.valid_path.is_none())
    }

    fn check_sources(&self) -> Result<()> {
        if self.source.is_some() && self.path.is_some() {
            return invalid("data.source", "`data.path` is set as well; remove one of them");
        }
        if self.train_path.is_none() {
            return match (&self.valid_path, &self.test_path) {
                (None, None) => Ok(()),
                _ => invalid("data.train_path", "it is needed where `data.valid_path` or `data.test_path` is set"),
            };
        }
        if self.path.is_some() || self.source.is_some() {
            return invalid("data.train_path", "`data.path` or `data.source` is set as well; remove one of them");
        }
        if self.test_path.is_none() {
            let problem = "it is needed beside `data.train_path`: test rows are scored at the end; without such a file, \
                           give all rows as `data.path` and let `data.split` divide them";
            return invalid("data.test_path", problem);
        }
        if self.url.is_some() || self.sha256.is_some() {
            return invalid("data.url", "a download and its sha256 are for `data.path`, not for a file per part");
        }
        if self.split.column.is_some() {
            return invalid("data.split.column", "the files of `data.train_path` and `data.test_path` are the split");
        }
        Ok(())
    }

    /// Settings for another file that is written as this one: `delimiter`, `quote`, `has_header`, `columns`, `null_values`
    /// and `trim`, and the roles of its columns: `target`, `id_columns` and `ignore_columns`. Nothing else: with a path, they
    /// are what [`crate::RowReader::open`] takes.
    pub fn file_settings(&self) -> Self {
        Self {
            delimiter: self.delimiter,
            quote: self.quote,
            has_header: self.has_header,
            columns: self.columns.clone(),
            null_values: self.null_values.clone(),
            trim: self.trim,
            target: self.target.clone(),
            id_columns: self.id_columns.clone(),
            ignore_columns: self.ignore_columns.clone(),
            ..Self::default()
        }
    }

    /// The name shown for the data set: `name`, else the (train) file's stem, else the source's name.
    pub fn display_name(&self) -> String {
        let path = self.path.as_ref().or(self.train_path.as_ref());
        let stem = path.and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
        self.name.clone().or(stem).unwrap_or_else(|| self.source.map_or("data", Builtin::name).to_string())
    }
}

/// A data set that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// 1,599 Portuguese red wines: 11 measurements and a `quality` from 3 to 8 (Cortez et al. 2009).
    WineQuality,
}

impl Builtin {
    /// The name used in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::WineQuality => "wine_quality",
        }
    }
}

/// A data file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Parquet if the file begins with Parquet's signature, else CSV.
    Auto,
    /// Text with one row per line.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// What is predicted, as a user states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemTypeSetting {
    /// Decided by the target's values.
    Auto,
    /// A number.
    Regression,
    /// One of two classes.
    Binary,
    /// One of at least three classes.
    Multiclass,
    /// Binary with two classes, multiclass with more.
    Classification,
}

/// What a column holds, as a user states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Numbers: imputed and scaled.
    Numeric,
    /// Names: one-hot columns or embedding indices.
    Categorical,
}

/// Intervals of a numeric target and the class that each becomes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetBins {
    /// Ascending borders. A value equal to a border belongs to the bin on its left.
    pub edges: Vec<f64>,
    /// One class per bin, from low to high: one more than there are edges.
    pub labels: Vec<String>,
}

impl TargetBins {
    pub(crate) fn check(&self) -> Result<()> {
        let ascending = self.edges.windows(2).all(|pair| pair[0] < pair[1]);
        if self.edges.is_empty() || !ascending || self.edges.iter().any(|edge| !edge.is_finite()) {
            return invalid("data.target_bins.edges", "it needs at least one number, in ascending order");
        }
        if self.labels.len() != self.edges.len() + 1 {
            let problem = format!("{} edges make {} bins", self.edges.len(), self.edges.len() + 1);
            return invalid(
                "data.target_bins.labels",
                &format!("{problem}, but there are {} labels", self.labels.len()),
            );
        }
        if (1..self.labels.len()).any(|i| self.labels[..i].contains(&self.labels[i])) {
            return invalid("data.target_bins.labels", "a label occurs twice");
        }
        Ok(())
    }

    /// The index of the bin that holds `value`.
    pub fn bin(&self, value: f64) -> usize {
        self.edges.iter().take_while(|&&edge| value > edge).count()
    }
}

/// What the network learns in place of a numeric target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetTransform {
    /// The number itself.
    #[default]
    None,
    /// `ln(1 + y)`, for amounts that span powers of ten. Every target must be above -1.
    Log,
}

impl TargetTransform {
    pub(crate) fn apply(self, y: f64) -> f64 {
        match self {
            Self::None => y,
            Self::Log => y.ln_1p(),
        }
    }

    pub(crate) fn invert(self, z: f64) -> f64 {
        match self {
            Self::None => z,
            Self::Log => z.exp_m1(),
        }
    }
}

/// How a numeric target is scaled for the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetScaling {
    /// Mean 0 and standard deviation 1 over the train rows.
    Standard,
    /// As it is.
    None,
}

/// How rows are divided into train, valid and test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// A column that says `train`, `val` (or `valid`, `validation`) or `test`; it replaces the ratios.
    pub column: Option<String>,
    /// Share of all rows used to choose the best epoch.
    pub valid: f64,
    /// Share of all rows scored once, at the end.
    pub test: f64,
    /// Classification: whether each part has the classes in the same proportions. Not with `group`.
    pub stratify: bool,
    /// A column such as a patient or a shop: all rows with one value go into one part. It is no feature.
    pub group: Option<String>,
    /// Seed of the split, so that runs with other seeds have the same parts; null for the run's own `seed`.
    pub seed: Option<u64>,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { column: None, valid: 0.2, test: 0.2, stratify: true, group: None, seed: None }
    }
}

impl SplitConfig {
    fn check(&self, needs_test: bool, needs_valid: bool) -> Result<()> {
        if self.column.is_some() {
            return Ok(());
        }
        let shares = [("data.split.valid", self.valid, needs_valid), ("data.split.test", self.test, needs_test)];
        for (key, ratio, _) in shares.iter().filter(|(.., is_needed)| *is_needed) {
            if !(*ratio > 0.0 && *ratio < 1.0) {
                return invalid(key, &format!("`{ratio}` leaves a part empty; it must be between 0 and 1, like 0.2"));
            }
        }
        if needs_test && self.valid + self.test >= 1.0 {
            let problem =
                format!("`valid` and `test` sum to {}, which leaves no rows to train on", self.valid + self.test);
            return invalid("data.split", &problem);
        }
        Ok(())
    }
}

/// How columns become network inputs. Everything is fitted on the train rows only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeaturesConfig {
    /// Columns to compute from raw ones, before all else.
    pub engineer: EngineerConfig,
    /// What stands in for a missing number.
    pub impute: Imputation,
    /// The number used by `impute: constant`.
    pub fill_value: f64,
    /// How numbers are brought to a common scale.
    pub scaling: Scaling,
    /// How categories are encoded.
    pub categorical: CategoricalEncoding,
    /// Adds a 0/1 column for each numeric column that has missing values in the train rows.
    pub missing_indicator: bool,
    /// Levels with fewer train rows than this are grouped as `<other>`.
    pub min_frequency: usize,
    /// At most this many slots per categorical column, `<other>` and `<missing>` included.
    pub max_categories: Option<usize>,
    /// Settings for single numeric columns, by name, in place of those above.
    pub columns: BTreeMap<String, ColumnSettings>,
}

/// What differs for one numeric column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnSettings {
    /// What stands in for a missing number.
    pub impute: Option<Imputation>,
    /// The number used by `impute: constant`.
    pub fill_value: Option<f64>,
    /// How numbers are brought to a common scale.
    pub scaling: Option<Scaling>,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self {
            engineer: EngineerConfig::default(),
            impute: Imputation::Median,
            fill_value: 0.0,
            scaling: Scaling::Standard,
            categorical: CategoricalEncoding::OneHot,
            missing_indicator: false,
            min_frequency: 1,
            max_categories: None,
            columns: BTreeMap::new(),
        }
    }
}

impl FeaturesConfig {
    /// Finds what is wrong with the settings themselves.
    pub fn check(&self) -> Result<()> {
        let fill_values = self.columns.values().filter_map(|column| column.fill_value);
        if fill_values.chain([self.fill_value]).any(|value| value.is_nan() || value.abs() > f64::from(f32::MAX)) {
            return invalid("features.fill_value", "it must be a number that 32 bits can hold (up to 3.4e38)");
        }
        if self.max_categories.is_some_and(|most| most < 3) {
            return invalid("features.max_categories", "it must be at least 3: a level, `<other>` and `<missing>`");
        }
        self.engineer.check()
    }

    /// The settings that hold for one numeric column.
    pub(crate) fn of_column(&self, name: &str) -> Self {
        let own = self.columns.get(name).copied().unwrap_or_default();
        Self {
            impute: own.impute.unwrap_or(self.impute),
            fill_value: own.fill_value.unwrap_or(self.fill_value),
            scaling: own.scaling.unwrap_or(self.scaling),
            columns: BTreeMap::new(),
            engineer: EngineerConfig::default(),
            ..*self
        }
    }
}

/// What stands in for a missing number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Imputation {
    /// The mean of the column's train rows.
    Mean,
    /// The median of the column's train rows.
    Median,
    /// The value that the column's train rows have most often; the smallest of several such.
    MostFrequent,
    /// `features.fill_value`.
    Constant,
}

/// How numbers are brought to a common scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Mean 0, standard deviation 1 (of the population, as in scikit-learn).
    Standard,
    /// From 0 to 1.
    MinMax,
    /// Normally distributed, by rank: from up to 1,000 quantiles of the train rows, between -5.2 and 5.2. Tames outliers.
    QuantileNormal,
    /// As they are.
    None,
}

/// How categories are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CategoricalEncoding {
    /// One 0/1 column per level, beside the numeric columns.
    OneHot,
    /// One index per column, for an embedding table.
    Embedding,
}

fn invalid<T>(key: &'static str, problem: &str) -> Result<T> {
    Err(Error::Setting { key, problem: problem.to_string() })
}
