//! One column: its cells as they were read, held compactly.
//!
//! Whatever the storage, a cell is text or missing, so there is one set of typing rules for CSV, Parquet and built-in
//! data, and a cell can be written back as it was read.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;
use crate::{Error, Result};

/// One named column. Cells are read through [`Column::text`] and [`Column::numbers`].
#[derive(Clone, Debug)]
pub struct Column {
    /// The name in the header.
    pub name: String,
    /// The type, where the source states one (Parquet); otherwise it is guessed from the cells.
    pub declared: Option<ColumnType>,
    cells: Cells,
    /// Numbers that no decimal packs (`1e-05`, `+1`, `007`) by row, ascending.
    odd: Vec<(u32, Box<str>)>,
}

/// What a column holds, in MLflow's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Integers without missing values.
    Long,
    /// Any numbers.
    Double,
    /// `true` and `false` in any case, and 0 and 1 among them; 0 and 1 as a feature.
    Boolean,
    /// Anything else.
    String,
}

/// One value per row. The smallest storage that holds all cells exactly is found while reading.
#[derive(Clone, Debug)]
enum Cells {
    /// Decimals of up to 8 digits, or a mark. 4 bytes a row.
    Short(Vec<i32>),
    /// Decimals of up to 17 digits, or a mark. 8 bytes a row.
    Long(Vec<i64>),
    /// Computed numbers, shown in their shortest exact form; NaN is missing. 8 bytes a row.
    Floats(Vec<f64>),
    /// Any text: an index into `levels`, the distinct texts, or `MISSING_LEVEL`. 4 bytes a row.
    Texts { levels: Arc<[Box<str>]>, of_row: Vec<u32> },
}

const SHORT_MISSING: i32 = Decimal::FREE_I32;
const SHORT_ODD: i32 = 1 << 4 | Decimal::FREE_I32;
const LONG_MISSING: i64 = Decimal::FREE_I64;
const LONG_ODD: i64 = 1 << 6 | Decimal::FREE_I64;
const MISSING_LEVEL: u32 = u32::MAX;

/// A cell in the form in which it is stored.
enum Cell<'a> {
    Missing,
    Decimal(Decimal),
    Float(f64),
    Text(&'a str),
}

/// From this share of numbers on, a column with other values is taken for a damaged numeric one.
const MOSTLY_NUMERIC: f64 = 0.9;

impl Column {
    /// A column of texts, whose type is guessed from them; `None` is missing.
    pub fn new(name: &str, cells: Vec<Option<String>>) -> Self {
        let mut column = ColumnBuilder::new(name);
        cells.iter().for_each(|cell| column.push(cell.as_deref()));
        column.finish()
    }

    /// A column of computed numbers; `None` and NaN are missing. Its texts are the shortest that give the same `f64`.
    pub fn from_numbers(name: &str, numbers: Vec<Option<f64>>) -> Self {
        let numbers = numbers.into_iter().map(|number| number.unwrap_or(f64::NAN)).collect();
        Self { name: name.to_string(), declared: None, cells: Cells::Floats(numbers), odd: Vec::new() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match &self.cells {
            Cells::Short(cells) => cells.len(),
            Cells::Long(cells) => cells.len(),
            Cells::Floats(cells) => cells.len(),
            Cells::Texts { of_row, .. } => of_row.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the cell of this 0-based row is missing. Panics beyond the last row, as indexing does.
    pub fn is_missing(&self, row: usize) -> bool {
        matches!(self.cell(row), Cell::Missing)
    }

    /// The cell of this 0-based row as it was read, but for blanks around it; `None` if missing. Panics beyond the last
    /// row, as indexing does.
    pub fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        match self.cell(row) {
            Cell::Text(text) => Some(Cow::Borrowed(text)),
            _ => self.with_text(row, |text| text.map(|text| Cow::Owned(text.to_string()))),
        }
    }

    /// Gives `use_text` the cell's text without making a `String`.
    pub(crate) fn with_text<T>(&self, row: usize, use_text: impl FnOnce(Option<&str>) -> T) -> T {
        match self.cell(row) {
            Cell::Missing => use_text(None),
            Cell::Text(text) => use_text(Some(text)),
            Cell::Decimal(decimal) => decimal.with_text(|text| use_text(Some(text))),
            Cell::Float(number) => use_text(Some(&number.to_string())),
        }
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        match &self.cells {
            Cells::Short(cells) => match cells[row] {
                SHORT_MISSING => Cell::Missing,
                SHORT_ODD => self.odd_cell(row),
                packed => Cell::Decimal(Decimal::from_i32(packed)),
            },
            Cells::Long(cells) => match cells[row] {
                LONG_MISSING => Cell::Missing,
                LONG_ODD => self.odd_cell(row),
                packed => Cell::Decimal(Decimal::from_i64(packed)),
            },
            Cells::Floats(cells) if cells[row].is_nan() => Cell::Missing,
            Cells::Floats(cells) => Cell::Float(cells[row]),
            Cells::Texts { levels, of_row } => match of_row[row] {
                MISSING_LEVEL => Cell::Missing,
                level => Cell::Text(&levels[level as usize]),
            },
        }
    }

    /// The distinct texts and the place of each row's among them, which is beyond the last where a cell is missing. `None`
    /// where the cells are not stored so.
    pub(crate) fn levels(&self) -> Option<(&[Box<str>], &[u32])> {
        match &self.cells {
            Cells::Texts { levels, of_row } => Some((levels, of_row)),
            _ => None,
        }
    }

    fn odd_cell(&self, row: usize) -> Cell<'_> {
        let place = self.odd.binary_search_by_key(&(row as u32), |(row, _)| *row);
        place.map_or(Cell::Missing, |place| Cell::Text(&self.odd[place].1))
    }

    /// `f` of the text of each given row; called once per distinct text where those are known.
    pub(crate) fn map_texts<T: Clone>(&self, rows: &[u32], mut f: impl FnMut(Option<&str>) -> T) -> Vec<T> {
        let Cells::Texts { levels, of_row } = &self.cells else {
            return rows.iter().map(|&row| self.with_text(row as usize, &mut f)).collect();
        };
        let missing = f(None);
        let of_level: Vec<T> = levels.iter().map(|level| f(Some(&**level))).collect();
        let value = |&row: &u32| of_level.get(of_row[row as usize] as usize).unwrap_or(&missing).clone();
        rows.iter().map(value).collect()
    }

    /// The rows of each distinct text, and the rows that are missing.
    pub(crate) fn count_texts(&self, rows: &[u32]) -> (HashMap<String, usize>, usize) {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut n_missing = 0;
        if let Cells::Texts { levels, of_row } = &self.cells {
            let mut of_level = vec![0; levels.len()];
            for &row in rows {
                *of_level.get_mut(of_row[row as usize] as usize).unwrap_or(&mut n_missing) += 1;
            }
            let used = levels.iter().zip(of_level).filter(|(_, count)| *count > 0);
            return (used.map(|(level, count)| (level.to_string(), count)).collect(), n_missing);
        }
        for &row in rows {
            self.with_text(row as usize, |text| match text {
                None => n_missing += 1,
                Some(text) => match counts.get_mut(text) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(text.to_string(), 1)),
                },
            });
        }
        (counts, n_missing)
    }

    /// What `label` makes of the distinct texts, ascending, until there are more than `most`.
    pub(crate) fn distinct(&self, most: usize, label: impl Fn(&str) -> String) -> BTreeSet<String> {
        let (mut seen, mut distinct) = (HashSet::new(), BTreeSet::new());
        for row in 0..self.len() {
            self.with_text(row, |text| {
                if let Some(text) = text.filter(|text| !seen.contains(*text)) {
                    seen.insert(text.to_string());
                    distinct.insert(label(text));
                }
            });
            if distinct.len() > most {
                break;
            }
        }
        distinct
    }

    /// The same column with the given 0-based rows only, in their order. Panics beyond the last row.
    pub fn select(&self, rows: &[u32]) -> Self {
        fn pick<T: Copy>(cells: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|&row| cells[row as usize]).collect()
        }
        let cells = match &self.cells {
            Cells::Short(cells) => Cells::Short(pick(cells, rows)),
            Cells::Long(cells) => Cells::Long(pick(cells, rows)),
            Cells::Floats(cells) => Cells::Floats(pick(cells, rows)),
            Cells::Texts { levels, of_row } => Cells::Texts { levels: levels.clone(), of_row: pick(of_row, rows) },
        };
        let odd = (0..).zip(rows).filter_map(|(place, row)| {
            let found = self.odd.binary_search_by_key(row, |(row, _)| *row).ok()?;
            Some((place, self.odd[found].1.clone()))
        });
        Self { name: self.name.clone(), declared: self.declared, odd: odd.collect(), cells }
    }

    /// Drops the rows from `n_rows` on, and gives their memory back.
    pub(crate) fn truncate(&mut self, n_rows: usize) {
        // A copy, because an allocator may leave a shrunk vector where it is, at its full size.
        fn cut<T: Copy>(cells: &mut Vec<T>, n_rows: usize) {
            if cells.len() > n_rows {
                *cells = cells[..n_rows].to_vec();
            }
        }
        match &mut self.cells {
            Cells::Short(cells) => cut(cells, n_rows),
            Cells::Long(cells) => cut(cells, n_rows),
            Cells::Floats(cells) => cut(cells, n_rows),
            Cells::Texts { of_row, .. } => cut(of_row, n_rows),
        }
    }

    /// Adds the cells of another column below its own.
    pub(crate) fn append(&mut self, other: &Self) {
        use ColumnType::{Double, Long};
        let declared = match (self.declared, other.declared) {
            (own, others) if own == others => own,
            (Some(Long | Double), Some(Long | Double)) => Some(Double),
            _ => None,
        };
        let mut builder = ColumnBuilder::new("");
        std::mem::swap(&mut builder.column, self);
        if let Cells::Texts { levels, .. } = &builder.column.cells {
            builder.index = levels.iter().cloned().zip(0..).collect();
        }
        (0..other.len()).for_each(|row| other.with_text(row, |text| builder.push(text)));
        *self = Self { declared, ..builder.finish() };
    }

    /// The first missing row and how many there are.
    pub(crate) fn missing_rows(&self) -> Option<(usize, usize)> {
        let mut rows = (0..self.len()).filter(|&row| self.is_missing(row));
        rows.next().map(|first| (first, 1 + rows.count()))
    }

    /// The declared type, else the type that all cells share; `None` if every cell is missing.
    pub fn column_type(&self) -> Option<ColumnType> {
        let n_present = (0..self.len()).filter(|&row| !self.is_missing(row)).count();
        if n_present == 0 {
            return None;
        }
        let found = self.declared.unwrap_or_else(|| self.guess());
        // A Python reader of the schema would see integers with gaps as floats.
        Some(if found == ColumnType::Long && n_present < self.len() { ColumnType::Double } else { found })
    }

    fn guess(&self) -> ColumnType {
        if let Cells::Texts { .. } = &self.cells {
            return guess(self.used_levels().map(|(_, level)| level));
        }
        let odd = self.odd.iter().all(|(_, text)| is_integer(text));
        let is_whole = |row| match self.cell(row) {
            Cell::Decimal(decimal) => decimal.is_integer(),
            Cell::Float(number) => number.fract() == 0.0,
            Cell::Missing | Cell::Text(_) => true,
        };
        if odd && (0..self.len()).all(is_whole) { ColumnType::Long } else { ColumnType::Double }
    }

    /// Distinct texts that occur, each with the rows that have it. Empty for numbers.
    fn used_levels(&self) -> impl Iterator<Item = (usize, &str)> + Clone {
        let (levels, of_row): (&[Box<str>], &[u32]) = match &self.cells {
            Cells::Texts { levels, of_row } => (levels, of_row),
            _ => (&[], &[]),
        };
        let mut counts = vec![0; levels.len()];
        of_row.iter().filter(|&&level| level != MISSING_LEVEL).for_each(|&level| counts[level as usize] += 1);
        counts.into_iter().zip(levels).filter(|(count, _)| *count > 0).map(|(count, level)| (count, &**level))
    }

    /// The cells of the given 0-based rows as numbers: booleans as 0 and 1, `None` where missing. An error at the first
    /// cell that is none, or is beyond what `f32` holds; `file` is for its message.
    pub fn numbers(&self, rows: &[u32], file: &str) -> Result<Vec<Option<f64>>> {
        let number = |&row: &u32| match self.cell(row as usize) {
            Cell::Missing => Ok(None),
            Cell::Decimal(decimal) => Ok(Some(decimal.value())),
            Cell::Float(number) if in_range(number) => Ok(Some(number)),
            Cell::Float(number) => Err(self.not_a_number(row, &number.to_string(), file)),
            Cell::Text(text) => {
                let number = parse_number(text).or_else(|| parse_bool(text).map(f64::from));
                number.map(Some).ok_or_else(|| self.not_a_number(row, text, file))
            }
        };
        rows.iter().map(number).collect()
    }

    fn not_a_number(&self, row: u32, value: &str, file: &str) -> Error {
        let (file, column, value) = (file.to_string(), self.name.clone(), value.to_string());
        Error::NotANumber { file, column, row: row as usize + 1, value }
    }

    /// The distinct numbers, the cells that are numbers, and the cells that are not missing. All 0 unless stored as text.
    fn count_numbers(&self) -> (usize, usize, usize) {
        let total = self.used_levels().map(|(count, _)| count).sum();
        let numbers = self.used_levels().filter(|(_, level)| parse_number(level).is_some());
        let (n_distinct, n_numbers) = numbers.fold((0, 0), |(distinct, rows), (count, _)| (distinct + 1, rows + count));
        (n_distinct, n_numbers, total)
    }

    /// The first row that is neither a number nor missing, and its cell.
    fn first_stray(&self) -> (usize, String) {
        let is_stray = |row: &usize| self.with_text(*row, |text| text.is_some_and(|text| parse_number(text).is_none()));
        let row = (0..self.len()).find(is_stray).unwrap_or_default();
        (row, self.text(row).unwrap_or_default().into_owned())
    }

    /// A word about a text column of which at least half of the cells are numbers.
    pub(crate) fn stray_text(&self) -> Option<String> {
        let (_, n_numbers, total) = self.count_numbers();
        if n_numbers == total || n_numbers * 2 < total {
            return None;
        }
        let ((row, value), name) = (self.first_stray(), &self.name);
        Some(format!(
            "column `{name}` is text, since row {} has `{value}`, but {n_numbers} of its {total} values are numbers; if \
             that stands for a missing value, add it to `data.null_values`",
            row + 1
        ))
    }

    /// An error if the column is a numeric one that a few stray texts turned into text.
    pub(crate) fn check_not_mixed(&self, file: &str) -> Result<()> {
        let (n_distinct, n_numbers, total) = self.count_numbers();
        if n_numbers == total || n_distinct <= 20 || (n_numbers as f64) < MOSTLY_NUMERIC * total as f64 {
            return Ok(());
        }
        let (row, value) = self.first_stray();
        let (file, column) = (file.to_string(), self.name.clone());
        Err(Error::MixedColumn { file, column, numbers: n_numbers, total, row: row + 1, value })
    }

    /// True if the first value begins like a date, such as `2016-07-01` or `1/7/2016`.
    pub(crate) fn looks_like_dates(&self) -> bool {
        let Some(first) = (0..self.len()).find_map(|row| self.text(row)) else { return false };
        let day = first.split([' ', 'T']).next().unwrap_or_default();
        ['-', '/', '.'].iter().any(|&mark| {
            let fields: Vec<&str> = day.split(mark).collect();
            fields.len() == 3 && fields.iter().all(|f| f.len() <= 4 && f.parse::<u32>().is_ok())
        })
    }
}

/// Takes the cells of a column one by one.
pub(crate) struct ColumnBuilder {
    column: Column,
    /// Texts so far; in use once the column holds texts.
    index: HashMap<Box<str>, u32>,
}

impl ColumnBuilder {
    pub(crate) fn new(name: &str) -> Self {
        let column =
            Column { name: name.to_string(), declared: None, cells: Cells::Short(Vec::new()), odd: Vec::new() };
        Self { column, index: HashMap::new() }
    }

    pub(crate) fn push(&mut self, cell: Option<&str>) {
        match (&mut self.column.cells, cell) {
            (Cells::Short(cells), None) => cells.push(SHORT_MISSING),
            (Cells::Long(cells), None) => cells.push(LONG_MISSING),
            (Cells::Floats(cells), None) => cells.push(f64::NAN),
            (Cells::Texts { of_row, .. }, cell) => {
                of_row.push(cell.map_or(MISSING_LEVEL, |text| level(&mut self.index, text)))
            }
            (Cells::Short(_) | Cells::Long(_) | Cells::Floats(_), Some(text)) => self.push_number(text),
        }
    }

    fn push_number(&mut self, text: &str) {
        let row = self.column.len();
        match (&mut self.column.cells, Decimal::parse(text)) {
            (Cells::Short(cells), Some(decimal)) => match decimal.to_i32() {
                Some(packed) => cells.push(packed),
                None => {
                    self.widen();
                    self.push(Some(text));
                }
            },
            (Cells::Long(cells), Some(decimal)) => cells.push(decimal.to_i64()),
            (Cells::Short(cells), None) if is_odd_number(text, row, self.column.odd.len()) => {
                cells.push(SHORT_ODD);
                self.column.odd.push((row as u32, text.into()));
            }
            (Cells::Long(cells), None) if is_odd_number(text, row, self.column.odd.len()) => {
                cells.push(LONG_ODD);
                self.column.odd.push((row as u32, text.into()));
            }
            _ => {
                self.become_text();
                self.push(Some(text));
            }
        }
    }

    fn widen(&mut self) {
        let Cells::Short(cells) = &self.column.cells else { return };
        let wide = |&packed: &i32| match packed {
            SHORT_MISSING => LONG_MISSING,
            SHORT_ODD => LONG_ODD,
            packed => Decimal::from_i32(packed).to_i64(),
        };
        self.column.cells = Cells::Long(cells.iter().map(wide).collect());
    }

    fn become_text(&mut self) {
        let index = &mut self.index;
        let of_cell = |text: Option<&str>| text.map_or(MISSING_LEVEL, |text| level(index, text));
        let rows: Vec<u32> = (0..self.column.len() as u32).collect();
        let of_row = self.column.map_texts(&rows, of_cell);
        self.column.cells = Cells::Texts { levels: Arc::default(), of_row };
        self.column.odd = Vec::new();
    }

    pub(crate) fn finish(mut self) -> Column {
        match &mut self.column.cells {
            Cells::Short(cells) => cells.shrink_to_fit(),
            Cells::Long(cells) => cells.shrink_to_fit(),
            Cells::Floats(cells) => cells.shrink_to_fit(),
            Cells::Texts { levels, of_row } => {
                of_row.shrink_to_fit();
                let mut texts = vec![Box::default(); self.index.len()];
                self.index.into_iter().for_each(|(text, level)| texts[level as usize] = text);
                *levels = texts.into();
            }
        }
        self.column
    }
}

/// The level of a text, a new one if it has none yet.
fn level(index: &mut HashMap<Box<str>, u32>, text: &str) -> u32 {
    if let Some(&level) = index.get(text) {
        return level;
    }
    let level = index.len() as u32;
    index.insert(text.into(), level);
    level
}

/// Whether a text that is no packed decimal may stay beside the packed ones: one in eight cells may.
fn is_odd_number(text: &str, n_rows: usize, n_odd: usize) -> bool {
    n_odd <= n_rows / 8 + 1000 && parse_number(text).is_some()
}

fn guess<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> ColumnType {
    let all = |test: fn(&str) -> bool| texts.clone().all(test);
    // One file may say `True` where another one says 1.
    let is_flag = |text: &str| parse_bool(text).is_some() || parse_number(text).is_some_and(|x| x == 0.0 || x == 1.0);
    if all(is_flag) && texts.clone().any(|text| parse_bool(text).is_some()) {
        ColumnType::Boolean
    } else if !all(|text| parse_number(text).is_some()) {
        ColumnType::String
    } else if all(is_integer) {
        ColumnType::Long
    } else {
        ColumnType::Double
    }
}

/// A number that an `f32` can hold. Words such as `inf` and `nan` are none, so that they are noticed.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let numeric = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(numeric) {
        return None;
    }
    text.parse().ok().filter(|&number| in_range(number))
}

/// One text for all ways to write a number: `17.0`, `+17` and `1.7e1` are `17`. Integers of up to 38 digits are exact; any
/// other text stays as it is.
pub(crate) fn plain_number(text: &str) -> String {
    if let Ok(integer) = without_zeros(text).parse::<i128>() {
        return integer.to_string();
    }
    parse_number(text).map_or(text.to_string(), |number| (number + 0.0).to_string())
}

/// `17` for `17.0`; any text that is not an integer with a fraction of zeros stays as it is.
pub(crate) fn without_zeros(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if is_digits(whole) && !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    }
}

/// Whether a text is an integer without a point or an exponent; leading zeros may be.
pub(crate) fn is_digits(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn in_range(number: f64) -> bool {
    number.abs() <= f64::from(f32::MAX)
}

fn is_integer(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}
