//! The report on time series as text: for the console, as Markdown, and the gaps as CSV.

use std::fmt::Write;

use super::report::{Gap, SeriesReport};
use crate::data_report_text::{count, escaped, short};

/// Gaps shown on the console and in Markdown.
const CONSOLE_GAPS: usize = 3;
const MARKDOWN_GAPS: usize = 50;

impl SeriesReport {
    /// A few lines for the console, without the warnings, which are to stand out.
    pub fn to_text(&self) -> String {
        self.lines(CONSOLE_GAPS).join("\n")
    }

    /// What there is and what was done, one fact a line.
    fn lines(&self, n_gaps: usize) -> Vec<String> {
        let how = if self.is_inferred { "inferred" } else { "set" };
        let (shortest, longest) = self.lengths;
        let lengths = match self.n_series {
            1 => format!("1 series of {} steps", count(longest)),
            n => format!("{} series of {} to {} steps", count(n), count(shortest), count(longest)),
        };
        let mut lines = vec![
            format!("{} rows, {lengths}, every {} ({how}), {}", count(self.n_rows), self.frequency, self.zone),
            format!("from {} to {}", self.from, self.to),
        ];
        lines.extend(self.changes());
        lines.extend(self.missing());
        lines.extend(self.gaps.iter().take(n_gaps).map(|gap| format!("gap: {}", gap_text(gap))));
        if n_gaps > 0 && self.gaps.len() > n_gaps {
            lines.push(format!("and {} shorter gaps", count(self.gaps.len() - n_gaps)));
        }
        for part in &self.parts {
            let (name, steps, windows) = (&part.name, count(part.n_steps), count(part.n_windows));
            let left_out = match part.n_left_out {
                0 => String::new(),
                n => format!(", {} left out at missing values", count(n)),
            };
            lines.push(format!("{name}: {steps} steps from {} to {}, {windows} windows{left_out}", part.from, part.to));
        }
        lines
    }

    /// Rows and values that were put in order or dropped.
    fn changes(&self) -> Vec<String> {
        let counts = [
            (self.n_duplicates, "row", "with the timestamp of an earlier one"),
            (self.n_outside, "row", "outside of `data.start` and `data.end`"),
            (self.n_cut, "step", "cut off by `data.max_series_length`"),
        ];
        let several = |n: usize, what: &str| format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" });
        let counted = counts.into_iter().filter(|(n, ..)| *n > 0);
        let counted = counted.map(|(n, what, how)| format!("{} {how}", several(n, what)));
        let ranges = self.out_of_range.iter().filter(|(_, n)| **n > 0);
        let ranges =
            ranges.map(|(name, n)| format!("{} of `{name}` outside of `data.valid_range`", several(*n, "value")));
        counted.chain(ranges).collect()
    }

    fn missing(&self) -> Vec<String> {
        if self.n_missing.is_empty() {
            return vec!["no missing values".to_string()];
        }
        let column = |(name, n): (&String, &usize)| match self.n_filled.get(name) {
            Some(filled) => format!("`{name}` {} ({} filled)", count(*n), count(*filled)),
            None => format!("`{name}` {}", count(*n)),
        };
        let shown: Vec<String> = self.n_missing.iter().take(10).map(column).collect();
        let more = self.n_missing.len() - shown.len();
        let more = if more > 0 { format!(", and {more} more columns") } else { String::new() };
        let (absent, policy) = (count(self.n_absent), &self.gaps_policy);
        vec![format!("{absent} steps without a row; missing values (`gaps: {policy}`): {}{more}", shown.join(", "))]
    }

    /// The whole report.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# Data: {}\n\n", escaped(&self.name));
        for line in self.lines(0) {
            let _ = writeln!(text, "- {line}");
        }
        if !self.warnings.is_empty() {
            text += "\n## Warnings\n\n";
            for warning in &self.warnings {
                let _ = writeln!(text, "- {warning}");
            }
        }
        text += "\n## Targets over the train steps\n\n| target | values | mean | standard deviation | min | max |\n";
        text += "|---|---:|---:|---:|---:|---:|\n";
        for target in &self.targets {
            let figures = [target.mean, target.std, target.min, target.max].map(short).join(" | ");
            let _ = writeln!(text, "| {} | {} | {figures} |", escaped(&target.name), count(target.n));
        }
        let names = |names: &[String]| match names {
            [] => "none".to_string(),
            names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        let _ = writeln!(text, "\n## Inputs beside the targets' own past\n");
        let _ = writeln!(text, "- known up to the first forecast step: {}", names(&self.past_names));
        let _ = writeln!(text, "- known over the horizon: {}", names(&self.future_names));
        if !self.gaps.is_empty() {
            text += "\n## Longest gaps\n\n| series | column | from | to | steps |\n|---|---|---|---|---:|\n";
            for gap in self.gaps.iter().take(MARKDOWN_GAPS) {
                let column = gap.column.as_deref().unwrap_or("all");
                let (series, column) = (escaped(&gap.series), escaped(column));
                let _ = writeln!(text, "| {series} | {column} | {} | {} | {} |", gap.from, gap.to, count(gap.n_steps));
            }
        }
        if !self.skipped.is_empty() {
            text += "\n## Series left out\n\n| series | steps | reason |\n|---|---:|---|\n";
            for series in &self.skipped {
                let (name, reason) = (escaped(&series.name), escaped(&series.reason));
                let _ = writeln!(text, "| {name} | {} | {reason} |", count(series.n_steps));
            }
        }
        text
    }

    /// All gaps: `series,column,from,to,steps`, the longest first; no column where whole rows are missing.
    pub fn gaps_csv(&self) -> String {
        let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_string(),
        };
        let mut text = "series,column,from,to,steps\n".to_string();
        for gap in &self.gaps {
            let (series, column) = (quoted(&gap.series), quoted(gap.column.as_deref().unwrap_or_default()));
            let _ = writeln!(text, "{series},{column},{},{},{}", gap.from, gap.to, gap.n_steps);
        }
        text
    }
}

fn gap_text(gap: &Gap) -> String {
    let series = if gap.series.is_empty() { String::new() } else { format!("series `{}`, ", gap.series) };
    let what = gap.column.as_deref().map_or("rows".to_string(), |column| format!("`{column}`"));
    format!("{series}{what} from {} to {}, {} steps", gap.from, gap.to, count(gap.n_steps))
}
