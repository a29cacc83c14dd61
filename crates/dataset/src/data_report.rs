//! What a data set looks like and what may be wrong with it: [`Source::report`].
//!
//! Missing cells, minima, maxima, means and deviations are of all rows. What needs sorting or counting of distinct values
//! is computed on up to 100,000 rows drawn evenly from the whole file, so that the time is bounded; with fewer rows it is
//! exact. Leaks are looked for in train rows only. Nothing here changes what a model sees.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use crate::load::column_type;
use crate::split::PARTS;
use crate::statistics::{
    auc, bin, equal_bins, kolmogorov_smirnov, quantile, sorted, spearman, stability_index, total_variation,
};
use crate::{
    CategoricalEncoding, Column, ColumnType, Error, PartInfo, Preprocessor, ProblemType, Result, Source, info,
};

/// Rows that distinct values, quantiles, drift and leaks are computed on.
const SAMPLE_ROWS: usize = 100_000;
/// Above this many rows, equal rows are counted in the sample only.
const HASHED_ROWS: usize = 2_000_000;
/// Rows read at a time, so that memory does not grow with the file.
const CHUNK_ROWS: usize = 1 << 16;
/// A part with fewer rows says too little about drift.
const DRIFT_ROWS: usize = 100;
/// Up to this many distinct numbers in each column, rows may well be alike by chance.
const FEW_NUMBERS: usize = 20;
/// With fewer rows beside the most frequent class, a feature can tell the classes apart by luck.
const LEAK_ROWS: usize = 5;
/// A single feature that is this good gives the target away: area under the curve, |rank correlation| or accuracy.
const LEAK: f64 = 0.995;

/// A data set as a person wants to see it before training on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataReport {
    /// The name to show.
    pub name: String,
    /// Rows of all parts.
    pub n_rows: usize,
    /// Rows that distinct values, quantiles, drift and leaks come from: all, or 100,000.
    pub n_sampled: usize,
    /// Train, valid and test.
    pub parts: Vec<PartInfo>,
    /// The column to predict.
    pub target: TargetReport,
    /// All raw columns in file order.
    pub columns: Vec<ColumnReport>,
    /// Rows of valid and of test that also occur in train, all columns but `data.split.column` compared.
    pub repeated_rows: Vec<RepeatedRows>,
    /// What a user should look at.
    pub warnings: Vec<DataWarning>,
}

/// The target's values in each part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetReport {
    /// The column's name.
    pub name: String,
    /// What is predicted.
    pub problem_type: ProblemType,
    /// Class names; their counts are in [`DataReport::parts`]. Empty for a regression.
    pub classes: Vec<String>,
    /// A regression's numbers in train, valid and test; empty for classes.
    pub numbers: Vec<NumberStats>,
}

/// One raw column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnReport {
    /// The column's name.
    pub name: String,
    /// What it is used for.
    pub role: Role,
    /// Its type; none without values.
    #[serde(rename = "type")]
    pub column_type: Option<ColumnType>,
    /// Missing cells of all rows.
    pub missing: usize,
    /// Distinct values in the sampled rows, a missing one not counted.
    pub distinct: usize,
    /// The values of a numeric column.
    pub numbers: Option<NumberStats>,
    /// The most frequent values of any other column in the sampled rows, at most ten.
    pub levels: Vec<LevelCount>,
    /// How well this feature alone tells the target in the train rows.
    pub alone: Option<Alone>,
    /// How valid and test differ from train.
    pub drift: Vec<Drift>,
}

/// What a column is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An input of the network, itself or through what is computed from it.
    Feature,
    /// Dropped, since it cannot help.
    Dropped,
    /// Of `data.id_columns`, `data.ignore_columns`, or what rows are split by.
    Ignored,
    /// The column to predict.
    Target,
}

/// A summary of numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NumberStats {
    /// How many there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Their population standard deviation.
    pub std: f64,
    /// The smallest.
    pub min: f64,
    /// Quantiles .05, .25, .5, .75 and .95 of the sampled ones.
    pub quantiles: [f64; 5],
    /// The largest.
    pub max: f64,
    /// Sampled values in 20 bins of equal width between the quantiles .005 and .995, the tails in the outer bins.
    pub histogram: Vec<usize>,
}

/// A value of a categorical column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelCount {
    /// The value.
    pub level: String,
    /// Its sampled rows.
    pub count: usize,
}

/// How well one feature tells the target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alone {
    /// `auc` (two classes; the better direction), `spearman` (a number) or `accuracy` (more classes).
    pub measure: &'static str,
    /// Its value. Categories are scored by rates found on the other half of the rows.
    pub value: f64,
}

/// How the values of a column in one part differ from those in train.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// `valid` or `test`.
    pub part: &'static str,
    /// Population stability index over ten bins of the train values, or over the levels; missing is a bin too.
    pub stability_index: f64,
    /// Numbers: the largest distance between the two distributions (Kolmogorov and Smirnov).
    pub kolmogorov_smirnov: Option<f64>,
    /// Whether it is more than chance and large: see [`WarningKind::Drift`].
    pub is_notable: bool,
}

/// Rows of a part that train has too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepeatedRows {
    /// `valid` or `test`.
    pub part: &'static str,
    /// Rows that also occur in train.
    pub repeated: usize,
    /// Rows that were compared: those that have a feature.
    pub compared: usize,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataWarning {
    /// What it is about.
    pub kind: WarningKind,
    /// The columns it is about.
    pub columns: Vec<String>,
    /// The whole sentence.
    pub message: String,
}

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// Found while encoding: dropped columns, too many levels, texts that look like dates. Also in `DatasetInfo`.
    Encoding,
    /// A single feature gives the target away.
    Leak,
    /// Two columns with equal cells.
    DuplicateColumns,
    /// Rows of valid or test that train has too.
    RepeatedRows,
    /// Whole numbers, each of them once, and close together or named `id`.
    Identifier,
    /// More than half of the cells.
    Missing,
    /// Many one-hot columns.
    ManyLevels,
    /// A stability index above .25 (beyond what chance gives) or a distance above .2 (at p < .001); for classes, shares
    /// that differ by more than .1 in total (beyond what chance gives).
    Drift,
}

impl Source {
    /// Looks at the raw columns. The warnings of `DatasetInfo` are repeated here, so that the report has all of them.
    pub fn report(&self) -> Result<DataReport> {
        let sample = Sample::new(self);
        let mut columns = Vec::new();
        for column in self.table.columns() {
            columns.push(self.column_report(column, &sample)?);
        }
        let repeated_rows = self.repeated_rows(&sample, &columns)?;
        let target = self.target_report()?;
        let mut report = DataReport {
            name: self.data.display_name(),
            n_rows: self.table.n_rows(),
            n_sampled: sample.rows.len(),
            parts: info::part_infos(self.parts(&self.plan.rows).each_ref(), &self.plan.target),
            target,
            columns,
            repeated_rows,
            warnings: Vec::new(),
        };
        let encoding = self.warnings.iter().map(|message| DataWarning {
            kind: WarningKind::Encoding,
            columns: Vec::new(),
            message: message.clone(),
        });
        report.warnings = encoding.collect();
        report.warnings.extend(report.column_warnings(&self.preprocessor));
        let duplicates = self.duplicate_columns(&report, &sample)?;
        report.warnings.extend(duplicates);
        report.warnings.extend(report.row_warnings());
        report.warnings.extend(report.class_drift());
        Ok(report)
    }

    fn column_report(&self, column: &Column, sample: &Sample) -> Result<ColumnReport> {
        let (name, file) = (&column.name, self.table.origin());
        let data = &self.data;
        let is_excluded = data.id_columns.contains(name) || data.ignore_columns.contains(name);
        let role = match () {
            () if *name == data.target => Role::Target,
            () if self.preprocessor.raw.iter().any(|raw| raw.name == *name) => Role::Feature,
            () if is_excluded || [&data.split.column, &data.split.group].contains(&&Some(name.clone())) => {
                Role::Ignored
            }
            () => Role::Dropped,
        };
        let column_type = if role == Role::Feature { column_type(column, data) } else { column.column_type() };
        let mut report = ColumnReport {
            name: name.clone(),
            role,
            column_type,
            missing: (0..column.len()).filter(|&row| column.is_missing(row)).count(),
            distinct: 0,
            numbers: None,
            levels: Vec::new(),
            alone: None,
            drift: Vec::new(),
        };
        let values = match column_type {
            None => return Ok(report),
            Some(ColumnType::Long | ColumnType::Double) => {
                let numbers = column.numbers(&sample.rows, file)?;
                let ascending = sorted(numbers.iter().flatten().copied().collect());
                report.distinct = ascending.chunk_by(|a, b| a == b).count();
                report.numbers = Some(number_stats(column, None, &ascending, file)?);
                Values::Numbers(numbers)
            }
            Some(ColumnType::Boolean | ColumnType::String) => {
                let (counts, _) = column.count_texts(&sample.rows);
                report.distinct = counts.len();
                let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
                counts.sort_unstable_by(|(a, n_a), (b, n_b)| n_b.cmp(n_a).then(a.cmp(b)));
                let values = Values::of_levels(column, &counts, &sample.rows);
                report.levels = counts.into_iter().take(10).map(|(level, count)| LevelCount { level, count }).collect();
                values
            }
        };
        // Shares of classes are compared by `class_drift`.
        if role == Role::Feature || (role == Role::Target && self.plan.target.labels().is_empty()) {
            report.drift = values.drift(sample);
        }
        if role == Role::Feature {
            report.alone = values.alone(sample, self);
        }
        Ok(report)
    }

    fn target_report(&self) -> Result<TargetReport> {
        let (table, target) = (&self.table, &self.plan.target);
        let mut numbers = Vec::new();
        if target.labels().is_empty() {
            let column = table.column(&target.name, "the target")?;
            for rows in &self.plan.rows {
                let values = column.numbers(&evenly(rows, SAMPLE_ROWS), table.origin())?;
                let ascending = sorted(values.into_iter().flatten().collect());
                numbers.push(number_stats(column, Some(rows), &ascending, table.origin())?);
            }
        }
        let (name, classes) = (target.name.clone(), target.labels().to_vec());
        Ok(TargetReport { name, problem_type: target.problem_type, classes, numbers })
    }

    /// Rows of valid and test that are equal to a train row in all columns but `data.split.column`, by a hash of 64 bits per
    /// row. Identifiers count, for they tell rows apart that only look alike; a row without any feature is not compared.
    fn repeated_rows(&self, sample: &Sample, columns: &[ColumnReport]) -> Result<Vec<RepeatedRows>> {
        let table = &self.table;
        let is_split = |column: &Column| self.data.split.column.as_ref() == Some(&column.name);
        let used: Vec<&Column> = table.columns().iter().filter(|column| !is_split(column)).collect();
        let with_roles = table.columns().iter().zip(columns);
        let features: Vec<&Column> = with_roles.filter(|(_, of)| of.role == Role::Feature).map(|(c, _)| c).collect();
        let has_features = |row: &u32| features.iter().any(|column| !column.is_missing(*row as usize));
        let rows = if table.n_rows() <= HASHED_ROWS { self.plan.rows.clone() } else { sample.parts() };
        let rows = rows.map(|rows| rows.into_iter().filter(has_features).collect::<Vec<u32>>());
        let hashes = |rows: &[u32]| -> Result<Vec<u64>> {
            let mut hashes = vec![0; rows.len()];
            for column in &used {
                mix_cells(column, rows, &mut hashes, table.origin())?;
            }
            Ok(hashes)
        };
        let train: HashSet<u64> = hashes(&rows[0])?.into_iter().collect();
        let mut repeated = Vec::new();
        for (part, rows) in PARTS.iter().zip(&rows).skip(1) {
            let count = hashes(rows)?.into_iter().filter(|hash| train.contains(hash)).count();
            repeated.push(RepeatedRows { part, repeated: count, compared: rows.len() });
        }
        Ok(repeated)
    }

    /// Features with equal cells in all rows. The sampled rows' hashes say which ones to compare.
    fn duplicate_columns(&self, report: &DataReport, sample: &Sample) -> Result<Vec<DataWarning>> {
        let table = &self.table;
        let mut by_hash: BTreeMap<u64, Vec<&Column>> = BTreeMap::new();
        for (column, described) in table.columns().iter().zip(&report.columns) {
            if described.role == Role::Feature {
                let mut hashes = vec![0; sample.rows.len()];
                mix_cells(column, &sample.rows, &mut hashes, table.origin())?;
                let hash = hashes.into_iter().fold(0, mix);
                by_hash.entry(hash).or_default().push(column);
            }
        }
        let is_equal =
            |a: &Column, b: &Column| (0..table.n_rows()).all(|row| a.with_text(row, |a| b.with_text(row, |b| a == b)));
        let mut warnings = Vec::new();
        for candidates in by_hash.into_values().filter(|columns| columns.len() > 1) {
            let same = candidates[1..].iter().filter(|column| is_equal(candidates[0], column));
            let names: Vec<String> = same.map(|column| column.name.clone()).collect();
            if names.is_empty() {
                continue;
            }
            let listed = crate::error::listed(names.iter().map(String::as_str));
            let message =
                format!("equal to column `{}` in every row: {listed}; ignore all but one", candidates[0].name);
            let columns = std::iter::once(candidates[0].name.clone()).chain(names).collect();
            warnings.push(DataWarning { kind: WarningKind::DuplicateColumns, columns, message });
        }
        Ok(warnings)
    }
}

impl DataReport {
    /// What is noteworthy about single columns.
    fn column_warnings(&self, preprocessor: &Preprocessor) -> Vec<DataWarning> {
        let mut warnings = Vec::new();
        for column in self.columns.iter().filter(|column| matches!(column.role, Role::Feature | Role::Target)) {
            let name = &column.name;
            let mut warn = |kind, message| {
                warnings.push(DataWarning { kind, columns: vec![name.clone()], message });
            };
            if let Some(alone) = column.alone.as_ref().filter(|alone| alone.is_leak(&self.parts[0])) {
                let figure = format!("{} {:.4}", alone.measure, alone.value);
                let question = "is it known before the target is? If not, list it in `data.ignore_columns`";
                warn(WarningKind::Leak, format!("column `{name}` alone tells the target ({figure}): {question}"));
            }
            let share = column.missing as f64 / self.n_rows as f64;
            if share > 0.5 && share < 1.0 {
                // Rounded down: 100 % would be all of them.
                let percent = if share < 0.99 { (share * 100.0).round() } else { (share * 1000.0).floor() / 10.0 };
                warn(WarningKind::Missing, format!("column `{name}` is missing in {percent} % of the rows"));
            }
            if column.is_identifier(self) {
                let question = "like an identifier; list it in `data.ignore_columns`?";
                warn(
                    WarningKind::Identifier,
                    format!("column `{name}` has another whole number in each row, {question}"),
                );
            }
            if let Some(levels) = self.many_levels(column, preprocessor) {
                let hint = "group the rare ones with `features.min_frequency` or `features.max_categories`";
                warn(WarningKind::ManyLevels, format!("column `{name}` becomes {levels} one-hot columns; {hint}"));
            }
            for drift in column.drift.iter().filter(|drift| drift.is_notable) {
                let distance = drift.kolmogorov_smirnov.map_or(String::new(), |distance| format!(", KS {distance:.2}"));
                let figures = format!("PSI {:.2}{distance}", drift.stability_index);
                let message = format!("column `{name}` differs between train and {} ({figures})", drift.part);
                warn(WarningKind::Drift, message);
            }
        }
        warnings
    }

    /// One-hot columns of a feature with more levels than rows can teach, unless the encoding said so already.
    fn many_levels(&self, column: &ColumnReport, preprocessor: &Preprocessor) -> Option<usize> {
        let input = preprocessor.inputs.iter().find(|input| input.name == column.name)?;
        let (levels, n_train) = (input.n_slots(), self.parts[0].n_rows);
        let is_said = crate::load::has_too_many_levels(levels, n_train);
        let is_one_hot = preprocessor.categorical == CategoricalEncoding::OneHot;
        (is_one_hot && levels > 100 && levels * 20 > n_train && !is_said).then_some(levels)
    }

    fn row_warnings(&self) -> Vec<DataWarning> {
        let is_fine = |column: &ColumnReport| {
            column.role == Role::Feature && column.numbers.is_some() && column.distinct > FEW_NUMBERS
        };
        let can_tell = self.columns.iter().any(is_fine);
        let is_many = |rows: &&RepeatedRows| can_tell && rows.repeated * 100 > rows.compared;
        let warning = |rows: &RepeatedRows| {
            let share = 100.0 * rows.repeated as f64 / rows.compared as f64;
            let RepeatedRows { part, repeated, compared } = rows;
            let message = format!(
                "{repeated} of {compared} {part} rows ({share:.1} %) occur in train too: if they are \
                 copies, scores are too good; remove them or keep them together with `data.split.group`"
            );
            DataWarning { kind: WarningKind::RepeatedRows, columns: Vec::new(), message }
        };
        self.repeated_rows.iter().filter(is_many).map(warning).collect()
    }

    /// Parts whose classes have other shares than those of train.
    fn class_drift(&self) -> Vec<DataWarning> {
        let [train, parts @ ..] = self.parts.as_slice() else { return Vec::new() };
        let distance = |part: &PartInfo| total_variation(&train.class_counts, &part.class_counts);
        let is_notable = |part: &&PartInfo| {
            part.n_rows >= DRIFT_ROWS
                && train.n_rows >= DRIFT_ROWS
                && !self.target.classes.is_empty()
                && distance(part) - by_chance(train, part) > 0.1
        };
        let warning = |part: &PartInfo| DataWarning {
            kind: WarningKind::Drift,
            columns: vec![self.target.name.clone()],
            message: format!(
                "the classes have other shares in {} than in train (they differ by {:.0} % in total)",
                part.name,
                100.0 * distance(part)
            ),
        };
        parts.iter().filter(is_notable).map(warning).collect()
    }

    /// The columns that a warning names or that were dropped.
    pub(crate) fn is_noteworthy(&self, column: &ColumnReport) -> bool {
        column.role == Role::Dropped || self.warnings.iter().any(|warning| warning.columns.contains(&column.name))
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Report { reason: error.to_string() })
    }
}

/// The distance between the shares of classes that two parts drawn from the same rows have on average: each difference
/// is about normal with variance `p (1 - p) (1 / n1 + 1 / n2)`.
fn by_chance(a: &PartInfo, b: &PartInfo) -> f64 {
    let (n_a, n_b) = (a.n_rows as f64, b.n_rows as f64);
    let difference = |(in_a, in_b): (&usize, &usize)| {
        let p = (in_a + in_b) as f64 / (n_a + n_b);
        (std::f64::consts::FRAC_2_PI * p * (1.0 - p) * (1.0 / n_a + 1.0 / n_b)).sqrt()
    };
    a.class_counts.iter().zip(&b.class_counts).map(difference).sum::<f64>() / 2.0
}

impl Alone {
    /// Accuracy must also leave few of the errors that the most frequent class makes.
    fn is_leak(&self, train: &PartInfo) -> bool {
        let n_most = train.class_counts.iter().max().copied().unwrap_or_default();
        let most = n_most as f64 / train.n_rows as f64;
        let has_few = n_most > 0 && train.n_rows - n_most < LEAK_ROWS;
        self.value > LEAK && !has_few && (self.measure != "accuracy" || (1.0 - self.value) < 0.1 * (1.0 - most))
    }
}

impl ColumnReport {
    fn is_identifier(&self, report: &DataReport) -> bool {
        let Some(numbers) = self.numbers.as_ref().filter(|_| self.role == Role::Feature) else { return false };
        self.column_type == Some(ColumnType::Long)
            && numbers.count == report.n_rows
            && self.distinct == report.n_sampled
            && self.distinct >= 100
            && (numbers.max - numbers.min < 2.0 * report.n_rows as f64
                || self.name.to_ascii_lowercase().ends_with("id"))
    }
}

/// Rows to look at, ascending, each with its part and target.
struct Sample {
    rows: Vec<u32>,
    /// 0, 1, 2: train, valid, test.
    part: Vec<u8>,
}

impl Sample {
    fn new(source: &Source) -> Self {
        let mut part_of_row = vec![0; source.table.n_rows()];
        for (number, rows) in (0..).zip(&source.plan.rows) {
            rows.iter().for_each(|&row| part_of_row[row as usize] = number);
        }
        let all: Vec<u32> = (0..part_of_row.len() as u32).collect();
        let rows = evenly(&all, SAMPLE_ROWS);
        let part = rows.iter().map(|&row| part_of_row[row as usize]).collect();
        Self { rows, part }
    }

    fn parts(&self) -> [Vec<u32>; 3] {
        [0, 1, 2].map(|part| self.rows.iter().zip(&self.part).filter(|(_, of)| **of == part).map(|(&r, _)| r).collect())
    }
}

/// All rows, or one from each of `most` stretches of equal length, the same ones each time.
fn evenly(rows: &[u32], most: usize) -> Vec<u32> {
    if rows.len() <= most {
        return rows.to_vec();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let border = |i: usize| i * rows.len() / most;
    let mut choose = |i: usize| rows[border(i) + (rng.next_u64() % (border(i + 1) - border(i)) as u64) as usize];
    (0..most).map(&mut choose).collect()
}

/// A column's sampled values; `None` is missing.
enum Values {
    Numbers(Vec<Option<f64>>),
    /// Indices of levels, the most frequent one first, and how many there are.
    Levels(Vec<Option<usize>>, usize),
}

/// Levels beyond these share a bin when distributions are compared.
const COMPARED_LEVELS: usize = 50;

impl Values {
    fn of_levels(column: &Column, counts: &[(String, usize)], rows: &[u32]) -> Self {
        let index: HashMap<&str, usize> =
            counts.iter().enumerate().map(|(i, (level, _))| (level.as_str(), i)).collect();
        let indices = column.map_texts(rows, |text| text.and_then(|text| index.get(text).copied()));
        Self::Levels(indices, counts.len())
    }

    /// How valid and test differ from train.
    fn drift(&self, sample: &Sample) -> Vec<Drift> {
        let bins = self.bins(sample);
        let n_bins = bins.iter().max().map_or(0, |&last| last + 1);
        let counts = |part: u8| {
            let mut counts = vec![0; n_bins];
            bins.iter().zip(&sample.part).filter(|(_, of)| **of == part).for_each(|(&bin, _)| counts[bin] += 1);
            counts
        };
        let train = counts(0);
        let drift = |(number, part): (u8, &&'static str)| {
            let other = counts(number);
            let stability_index = stability_index(&train, &other);
            let sizes = [&train, &other].map(|counts| counts.iter().sum::<usize>() as f64);
            let kolmogorov_smirnov = self.kolmogorov_smirnov(sample, number);
            // What chance gives: the index is about chi-squared with a degree of freedom per bin but one.
            let by_chance = n_bins.saturating_sub(1) as f64 * (1.0 / sizes[0] + 1.0 / sizes[1]);
            let significant = 1.95 * (1.0 / sizes[0] + 1.0 / sizes[1]).sqrt();
            let is_large = stability_index - by_chance > 0.25
                || kolmogorov_smirnov.is_some_and(|distance| distance > 0.2 && distance > significant);
            let is_notable = is_large && sizes[0] >= DRIFT_ROWS as f64 && sizes[1] >= DRIFT_ROWS as f64;
            Drift { part, stability_index, kolmogorov_smirnov, is_notable }
        };
        (0..).zip(&PARTS).skip(1).map(drift).collect()
    }

    /// The bin of each value: tenths of the train values or levels; the last one is for missing values.
    fn bins(&self, sample: &Sample) -> Vec<usize> {
        match self {
            Self::Levels(indices, n_levels) => {
                let last = COMPARED_LEVELS.min(*n_levels);
                indices.iter().map(|index| index.map_or(last + 1, |index| index.min(last))).collect()
            }
            Self::Numbers(numbers) => {
                let edges = equal_bins(&in_part(numbers, sample, 0), 10);
                numbers.iter().map(|x| x.map_or(edges.len() + 1, |x| bin(x, &edges))).collect()
            }
        }
    }

    fn kolmogorov_smirnov(&self, sample: &Sample, part: u8) -> Option<f64> {
        let Self::Numbers(numbers) = self else { return None };
        let (train, other) = (in_part(numbers, sample, 0), in_part(numbers, sample, part));
        (!train.is_empty() && !other.is_empty()).then(|| kolmogorov_smirnov(&train, &other))
    }

    /// How well the values tell the target in the sampled train rows.
    fn alone(&self, sample: &Sample, source: &Source) -> Option<Alone> {
        let is_train = |i: &usize| sample.part[*i] == 0;
        let train: Vec<usize> = (0..sample.rows.len()).filter(is_train).collect();
        let target: Vec<f64> = train.iter().map(|&i| f64::from(source.plan.targets[sample.rows[i] as usize])).collect();
        if train.len() < 50 {
            return None;
        }
        if source.plan.target.problem_type == ProblemType::Multiclass {
            let bins: Vec<usize> = self.fine_bins(&train);
            return Some(Alone { measure: "accuracy", value: accuracy(&bins, &target) });
        }
        let values: Vec<Option<f64>> = match self {
            Self::Numbers(numbers) => train.iter().map(|&i| numbers[i]).collect(),
            Self::Levels(..) => rates(&self.fine_bins(&train), &target).into_iter().map(Some).collect(),
        };
        let present = |(value, y): (&Option<f64>, &f64)| value.map(|value| (value, *y));
        let (x, y): (Vec<f64>, Vec<f64>) = values.iter().zip(&target).filter_map(present).unzip();
        if source.plan.target.problem_type == ProblemType::Regression {
            let value = spearman(&x, &y).filter(|_| x.len() * 2 > train.len())?;
            return Some(Alone { measure: "spearman", value: value.abs() });
        }
        let area = |x: &[f64], y: &[f64]| {
            let area = auc(x, &y.iter().map(|&y| y == 1.0).collect::<Vec<_>>());
            area.map(|area| area.max(1.0 - area))
        };
        let missing: Vec<f64> = values.iter().map(|value| f64::from(value.is_none())).collect();
        let by_value = area(&x, &y).filter(|_| x.len() * 2 > train.len());
        let value = by_value.unwrap_or(0.0).max(area(&missing, &target)?);
        Some(Alone { measure: "auc", value })
    }

    /// Levels, or bins of at least 20 of the numbers; the missing ones have a bin.
    fn fine_bins(&self, train: &[usize]) -> Vec<usize> {
        match self {
            Self::Levels(indices, n_levels) => train.iter().map(|&i| indices[i].unwrap_or(*n_levels)).collect(),
            Self::Numbers(numbers) => {
                let ascending = sorted(train.iter().filter_map(|&i| numbers[i]).collect());
                let edges = equal_bins(&ascending, (ascending.len() / 20).clamp(1, 256));
                train.iter().map(|&i| numbers[i].map_or(edges.len() + 1, |x| bin(x, &edges))).collect()
            }
        }
    }
}

/// The present values of a part, ascending.
fn in_part(numbers: &[Option<f64>], sample: &Sample, part: u8) -> Vec<f64> {
    sorted(numbers.iter().zip(&sample.part).filter(|(_, of)| **of == part).filter_map(|(x, _)| *x).collect())
}

/// The half that a row belongs to, whatever order the rows are in.
fn half(i: usize) -> usize {
    (mix(0, i as u64) & 1) as usize
}

/// The mean target of each row's bin in the other half of the rows, drawn towards the mean of all by one row.
fn rates(bins: &[usize], target: &[f64]) -> Vec<f64> {
    let n_bins = bins.iter().max().map_or(0, |&last| last + 1);
    let mean = target.iter().sum::<f64>() / target.len() as f64;
    let mut halves = [vec![(mean, 1.0); n_bins], vec![(mean, 1.0); n_bins]];
    for (i, (&bin, y)) in bins.iter().zip(target).enumerate() {
        let (sum, count) = &mut halves[half(i)][bin];
        *sum += y;
        *count += 1.0;
    }
    let rate = |(i, &bin): (usize, &usize)| {
        let (sum, count) = halves[1 - half(i)][bin];
        sum / count
    };
    bins.iter().enumerate().map(rate).collect()
}

/// The share of rows whose class is the most frequent one of their bin in the other half of the rows.
fn accuracy(bins: &[usize], target: &[f64]) -> f64 {
    let mut halves: [HashMap<usize, BTreeMap<u32, usize>>; 2] = Default::default();
    for (i, (&bin, &y)) in bins.iter().zip(target).enumerate() {
        *halves[half(i)].entry(bin).or_default().entry(y as u32).or_default() += 1;
    }
    let best = halves.map(|half| -> HashMap<usize, u32> {
        let most =
            |counts: BTreeMap<u32, usize>| counts.into_iter().max_by_key(|(_, n)| *n).map_or(0, |(class, _)| class);
        half.into_iter().map(|(bin, counts)| (bin, most(counts))).collect()
    });
    let is_right = |i: &usize| best[1 - half(*i)].get(&bins[*i]) == Some(&(target[*i] as u32));
    (0..bins.len()).filter(is_right).count() as f64 / bins.len() as f64
}

/// Mean, deviation, minimum and maximum of the given rows (or all); quantiles and histogram of the sampled `ascending` values.
fn number_stats(column: &Column, rows: Option<&[u32]>, ascending: &[f64], file: &str) -> Result<NumberStats> {
    let (mut count, mut mean, mut squares) = (0, 0.0, 0.0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    let n_rows = rows.map_or(column.len(), <[u32]>::len);
    for start in (0..n_rows).step_by(CHUNK_ROWS) {
        let end = (start + CHUNK_ROWS).min(n_rows);
        let chunk = match rows {
            Some(rows) => column.numbers(&rows[start..end], file)?,
            None => column.numbers(&(start as u32..end as u32).collect::<Vec<_>>(), file)?,
        };
        for x in chunk.into_iter().flatten() {
            // Welford's update: exact enough where the mean is large and the deviation small.
            count += 1;
            let distance = x - mean;
            mean += distance / f64::from(count);
            squares += distance * (x - mean);
            (min, max) = (min.min(x), max.max(x));
        }
    }
    if count == 0 {
        return Ok(NumberStats::default());
    }
    let quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map(|q| quantile(ascending, q));
    let std = (squares / f64::from(count)).sqrt();
    Ok(NumberStats { count: count as usize, mean, std, min, quantiles, max, histogram: histogram(ascending) })
}

fn histogram(ascending: &[f64]) -> Vec<usize> {
    let (from, to) = (quantile(ascending, 0.005), quantile(ascending, 0.995));
    let mut counts = vec![0; 20];
    for x in ascending {
        counts[((x - from) / (to - from).max(f64::MIN_POSITIVE) * 20.0).clamp(0.0, 19.0) as usize] += 1;
    }
    counts
}

/// Mixes the cells of a column into the hash of each row: numbers by value, other cells by text.
fn mix_cells(column: &Column, rows: &[u32], hashes: &mut [u64], file: &str) -> Result<()> {
    let is_number = matches!(column.column_type(), Some(ColumnType::Long | ColumnType::Double));
    if is_number {
        for (rows, hashes) in rows.chunks(CHUNK_ROWS).zip(hashes.chunks_mut(CHUNK_ROWS)) {
            let numbers = column.numbers(rows, file)?;
            hashes.iter_mut().zip(numbers).for_each(|(hash, x)| *hash = mix(*hash, x.map_or(u64::MAX, f64::to_bits)));
        }
        return Ok(());
    }
    let text_hash = |text: Option<&str>| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish()
    };
    let cells = column.map_texts(rows, text_hash);
    hashes.iter_mut().zip(cells).for_each(|(hash, cell)| *hash = mix(*hash, cell));
    Ok(())
}

/// The order of what is mixed in matters (the finish of SplitMix64).
fn mix(hash: u64, value: u64) -> u64 {
    let mut z = (hash ^ value).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
