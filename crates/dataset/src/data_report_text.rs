//! The data report for the console and as Markdown.

use std::fmt::Write;

use crate::{Alone, ColumnReport, ColumnType, DataReport, Drift, NumberStats, Role};

/// Console: more columns than this and only the noteworthy ones are shown.
const CONSOLE_COLUMNS: usize = 20;

impl DataReport {
    /// A table for the console, 110 characters wide: a line per column, of many columns only those that a warning names.
    /// The warnings themselves are not in it.
    pub fn to_text(&self) -> String {
        let is_wide = self.columns.len() > CONSOLE_COLUMNS;
        let shown: Vec<&ColumnReport> = self
            .columns
            .iter()
            .filter(|column| !is_wide || self.is_noteworthy(column) || column.role == Role::Target)
            .take(CONSOLE_COLUMNS)
            .collect();
        let width = shown.iter().map(|column| column.name.chars().count()).max().unwrap_or(0).clamp(6, 22);
        let mut text = format!(
            "{:width$}  {:<8} {:>8} {:>8}  {:<28} {:<21} {:>6} {:>5}\n",
            "column", "type", "missing", "distinct", "mean or most frequent", "range", "alone", "drift"
        );
        for column in &shown {
            let (typical, range) = column.values();
            let line = format!(
                "{:width$}  {:<8} {:>8} {:>8}  {:<28} {:<21} {:>6} {:>5}",
                cut(&column.name, width),
                column.kind(),
                percent(column.missing, self.n_rows),
                self.distinct(column),
                cut(&typical, 28),
                cut(&range, 21),
                column.alone.as_ref().map_or(String::new(), Alone::short),
                column.largest_drift().map_or(String::new(), |drift| format!("{:.2}", drift.stability_index)),
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let hidden = self.columns.len() - shown.len();
        if hidden > 0 {
            let _ = writeln!(text, "and {hidden} more columns, all of them in the report");
        }
        text + &self.balance().join("\n")
    }

    /// The whole report as Markdown: parts, target, warnings and a row per column.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# Data: {}\n\n", escaped(&self.name));
        let sampled = match self.n_sampled < self.n_rows {
            true => format!(
                " Distinct values, quantiles, drift and leaks come from {} of them, drawn evenly.",
                count(self.n_sampled)
            ),
            false => String::new(),
        };
        let (rows, columns) = (count(self.n_rows), self.columns.len());
        let _ = writeln!(text, "{rows} rows, {columns} columns, target `{}`.{sampled}\n", self.target.name);
        text += &self.markdown_warnings();
        text += &self.markdown_target();
        text += "\n## Columns\n\n";
        text += "| column | role | type | missing | distinct | mean ± std, or most frequent | min | 5 % | median | 95 % | max |";
        text += " alone | drift valid | drift test |\n";
        text += "|---|---|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        for column in &self.columns {
            let numbers =
                column.numbers.as_ref().filter(|numbers| numbers.count > 0).map_or([""; 5].join(" | "), |n| {
                    [n.min, n.quantiles[0], n.quantiles[2], n.quantiles[4], n.max].map(short).join(" | ")
                });
            let drift = |i: usize| column.drift.get(i).map_or(String::new(), Drift::figures);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {numbers} | {} | {} | {} |",
                escaped(&column.name),
                column.role.name(),
                column.kind(),
                percent(column.missing, self.n_rows),
                self.distinct(column),
                escaped(&column.values().0),
                column.alone.as_ref().map_or(String::new(), Alone::short),
                drift(0),
                drift(1),
            );
        }
        text + "\n" + NOTES
    }

    fn markdown_warnings(&self) -> String {
        let mut text = "## Warnings\n\n".to_string();
        if self.warnings.is_empty() {
            text += "none\n";
        }
        self.warnings.iter().for_each(|warning| text += &format!("- {}\n", warning.message));
        text
    }

    fn markdown_target(&self) -> String {
        let mut text = format!("\n## Target `{}`\n\n| | train | valid | test |\n|---|--:|--:|--:|\n", self.target.name);
        let mut row = |name: &str, cells: Vec<String>| {
            let _ = writeln!(text, "| {} | {} |", escaped(name), cells.join(" | "));
        };
        row("rows", self.parts.iter().map(|part| count(part.n_rows)).collect());
        for (class, label) in self.target.classes.iter().enumerate() {
            let share = |part: &crate::PartInfo| {
                format!("{} ({})", count(part.class_counts[class]), percent(part.class_counts[class], part.n_rows))
            };
            row(label, self.parts.iter().map(share).collect());
        }
        if !self.target.numbers.is_empty() {
            for (name, figure) in FIGURES {
                row(name, self.target.numbers.iter().map(|numbers| short(figure(numbers))).collect());
            }
        }
        let repeated = |rows: &crate::RepeatedRows| format!("{} of {}", count(rows.repeated), count(rows.compared));
        let cells = std::iter::once(String::new()).chain(self.repeated_rows.iter().map(repeated)).collect();
        row("rows that train has too", cells);
        text
    }

    /// The target in each part, in a line or two.
    fn balance(&self) -> Vec<String> {
        let name = &self.target.name;
        if let [train, valid, test] = self.target.numbers.as_slice() {
            let of = |numbers: &NumberStats| format!("{} ± {}", short(numbers.mean), short(numbers.std));
            return vec![format!("`{name}`: train {}, valid {}, test {}", of(train), of(valid), of(test))];
        }
        let shares = |class: usize| {
            let shares = self.parts.iter().map(|part| percent(part.class_counts[class], part.n_rows));
            shares.collect::<Vec<_>>().join(" / ")
        };
        let labels = self.target.classes.iter().enumerate().take(5);
        let shown: Vec<String> = labels.map(|(class, label)| format!("{} {}", cut(label, 20), shares(class))).collect();
        let more = self.target.classes.len() - shown.len();
        let more = if more > 0 { format!(", and {more} more classes") } else { String::new() };
        vec![format!("`{name}` in train / valid / test: {}{more}", shown.join(", "))]
    }

    pub(crate) fn distinct(&self, column: &ColumnReport) -> String {
        // A sample with few repeats says nothing about how many more there are.
        let is_bound = self.n_sampled < self.n_rows && column.distinct * 10 > self.n_sampled;
        format!("{}{}", if is_bound { ">" } else { "" }, count(column.distinct))
    }
}

/// A figure of a summary.
type Figure = fn(&NumberStats) -> f64;

/// What is shown of a numeric target.
pub(crate) const FIGURES: [(&str, Figure); 5] = [
    ("mean", |n| n.mean),
    ("standard deviation", |n| n.std),
    ("min", |n| n.min),
    ("median", |n| n.quantiles[2]),
    ("max", |n| n.max),
];

/// Below the table of columns.
pub(crate) const NOTES: &str = "\
*alone*: how well the feature tells the target on train rows by itself: area under the ROC curve for two classes (the better \
direction), absolute rank correlation for a number, accuracy for more classes. Near 1 it gives the target away.\n\
*drift*: population stability index against train (above .25 is much) and, for numbers, the distance of Kolmogorov and \
Smirnov. Small parts differ by chance; what is more than that is among the warnings.\n";

impl ColumnReport {
    /// What is typical, and from where to where the values go.
    pub(crate) fn values(&self) -> (String, String) {
        match (&self.numbers, self.levels.first()) {
            (Some(n), _) if n.count > 0 => {
                (format!("{} ± {}", short(n.mean), short(n.std)), format!("{} .. {}", short(n.min), short(n.max)))
            }
            (_, Some(level)) => (format!("{} ({})", cut(&level.level, 20), count(level.count)), String::new()),
            _ => (String::new(), String::new()),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.column_type {
            None => "empty",
            Some(ColumnType::Long) => "integer",
            Some(ColumnType::Double) => "number",
            Some(ColumnType::Boolean) => "boolean",
            Some(ColumnType::String) => "text",
        }
    }

    fn largest_drift(&self) -> Option<&Drift> {
        self.drift.iter().max_by(|a, b| a.stability_index.total_cmp(&b.stability_index))
    }
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Dropped => "dropped",
            Self::Ignored => "ignored",
            Self::Target => "target",
        }
    }
}

impl Alone {
    /// Three digits.
    pub(crate) fn short(&self) -> String {
        format!("{:.3}", self.value)
    }
}

impl Drift {
    pub(crate) fn figures(&self) -> String {
        let distance = self.kolmogorov_smirnov.map_or(String::new(), |distance| format!(", {distance:.2}"));
        format!("{:.2}{distance}", self.stability_index)
    }
}

/// Four digits that matter.
pub(crate) fn short(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 || (x.fract() == 0.0 && size < 1e6) {
        return format!("{x}");
    }
    if !(1e-3..1e7).contains(&size) {
        return format!("{x:.3e}");
    }
    let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{x:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// `12,345`
pub(crate) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `-` for none, and never 0.0 or 100.0 for what is only near.
pub(crate) fn percent(part: usize, all: usize) -> String {
    let share = 100.0 * part as f64 / all.max(1) as f64;
    match () {
        () if part == 0 => "-".to_string(),
        () if share < 0.05 => "<0.1%".to_string(),
        () if part < all && share >= 99.95 => ">99.9%".to_string(),
        () => format!("{share:.1}%"),
    }
}

/// At most `width` characters on one line.
fn cut(text: &str, width: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= width {
        return line;
    }
    line.chars().take(width - 1).collect::<String>() + "…"
}

/// Text inside a heading or a cell of a table of Markdown, in which HTML would be HTML.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ").replace('*', "\\*").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 3.0, 29.699_12, -0.123_456, 1234.567, 206_855.816, 12_345_678.9, 1e-5].map(short);
        assert_eq!(shown, ["0", "3", "29.7", "-0.1235", "1235", "206856", "1.235e7", "1.000e-5"]);
        assert_eq!([7, 1234, 1_234_567].map(count), ["7", "1,234", "1,234,567"]);
        assert_eq!(
            [(0, 9), (1, 9), (1, 9999), (9999, 10_000)].map(|(a, b)| percent(a, b)),
            ["-", "11.1%", "<0.1%", ">99.9%"]
        );
        assert_eq!(escaped("<b>|a_b & c"), "&lt;b>\\|a\\_b &amp; c");
        assert_eq!(cut("a long\nname", 8), "a long …");
    }
}
