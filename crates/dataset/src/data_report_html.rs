//! The data report as one HTML file that needs nothing else.

use std::fmt::Write;

use crate::data_report_text::{NOTES, count, percent, short};
use crate::{Alone, ColumnReport, DataReport, Drift, NumberStats, Role, WarningKind};

const STYLE: &str = "\
:root{--ink:#1f2933;--soft:#66737f;--line:#e4e8ec;--bar:#4c78a8;--alert:#c0392b;--ground:#fff;--tint:#f6f8fa}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--soft:#9aa7b3;--line:#303841;--bar:#7aa6d6;--alert:#ff8a7a;--ground:#16191d;--tint:#1e2329}}\
body{font:14px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);margin:2rem auto;max-width:1280px;padding:0 1.5rem}\
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:2rem 0 .6rem}p{margin:.2rem 0;color:var(--soft)}\
table{border-collapse:collapse;width:100%}th{font-weight:600;color:var(--soft);font-size:12px;text-align:left}\
th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);vertical-align:middle;white-space:nowrap}\
thead th{position:sticky;top:0;background:var(--ground)}\
.n{text-align:right;font-variant-numeric:tabular-nums}.soft{color:var(--soft)}.alert{color:var(--alert);font-weight:600}\
.name{font-weight:600;max-width:15rem;overflow:hidden;text-overflow:ellipsis}.wide{overflow-x:auto}\
ul.warnings{list-style:none;margin:0;padding:0}ul.warnings li{background:var(--tint);border-left:3px solid var(--alert);\
margin:.3rem 0;padding:.4rem .8rem;border-radius:0 4px 4px 0}ul.warnings b{display:inline-block;min-width:9rem;font-weight:600}\
svg{display:block}svg rect{fill:var(--bar)}.level{display:grid;grid-template-columns:6.5rem 3.5rem;gap:.5rem;font-size:11px;line-height:1.35}\
.level span:first-child{overflow:hidden;text-overflow:ellipsis}.track{background:var(--tint);border-radius:2px;align-self:center}\
.track i{display:block;height:7px;background:var(--bar);border-radius:2px}.narrow{width:auto}";

impl DataReport {
    /// The whole report as a web page: no scripts, no links, light or dark as the reader's system is.
    pub fn to_html(&self) -> String {
        let mut page = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
        let title = escaped(&self.name);
        let _ = write!(page, "<title>Data: {title}</title><style>{STYLE}</style></head><body><h1>Data: {title}</h1>");
        let parts: Vec<String> =
            self.parts.iter().map(|part| format!("{} {}", count(part.n_rows), part.name)).collect();
        let (rows, n_columns) = (count(self.n_rows), self.columns.len());
        let _ = write!(page, "<p>{rows} rows ({}), {n_columns} columns", parts.join(", "));
        if self.n_sampled < self.n_rows {
            let _ = write!(page, "; distinct values, quantiles, drift and leaks from {} rows", count(self.n_sampled));
        }
        page += "</p>";
        page += &self.html_warnings();
        page += &self.html_target();
        page += "<h2>Columns</h2><div class=\"wide\"><table><thead><tr><th>column</th><th>type</th><th class=\"n\">missing</th>\
                 <th class=\"n\">distinct</th><th>values</th><th class=\"n\">mean ± std</th><th class=\"n\">min</th>\
                 <th class=\"n\">median</th><th class=\"n\">max</th><th class=\"n\">alone</th><th class=\"n\">drift valid</th>\
                 <th class=\"n\">drift test</th></tr></thead><tbody>";
        self.columns.iter().for_each(|column| page += &self.html_column(column));
        page += "</tbody></table></div>";
        NOTES.lines().for_each(|note| page += &format!("<p>{}</p>", escaped(&note.replace('*', ""))));
        page + "</body></html>\n"
    }

    fn html_warnings(&self) -> String {
        if self.warnings.is_empty() {
            return String::new();
        }
        let mut list = String::from("<h2>Warnings</h2><ul class=\"warnings\">");
        for warning in &self.warnings {
            let _ = write!(list, "<li><b>{}</b>{}</li>", warning.kind.name(), escaped(&warning.message));
        }
        list + "</ul>"
    }

    fn html_target(&self) -> String {
        let mut table =
            format!("<h2>Target: {}</h2><table class=\"narrow\"><thead><tr><th></th>", escaped(&self.target.name));
        self.parts.iter().for_each(|part| table += &format!("<th>{}</th>", part.name));
        table += "</tr></thead><tbody>";
        for (class, label) in self.target.classes.iter().enumerate() {
            let _ = write!(table, "<tr><td class=\"name\">{}</td>", escaped(label));
            for part in &self.parts {
                let n = part.class_counts[class];
                let bar = level_bar(&format!("{} ({})", count(n), percent(n, part.n_rows)), n, part.n_rows);
                let _ = write!(table, "<td>{bar}</td>");
            }
            table += "</tr>";
        }
        if !self.target.numbers.is_empty() {
            table += "<tr><td class=\"soft\">distribution</td>";
            self.target.numbers.iter().for_each(|numbers| table += &format!("<td>{}</td>", histogram(numbers)));
            let figures: [(&str, fn(&NumberStats) -> f64); 5] = [
                ("mean", |n| n.mean),
                ("std", |n| n.std),
                ("min", |n| n.min),
                ("median", |n| n.quantiles[2]),
                ("max", |n| n.max),
            ];
            for (name, figure) in figures {
                let _ = write!(table, "</tr><tr><td class=\"soft\">{name}</td>");
                self.target.numbers.iter().for_each(|n| table += &format!("<td class=\"n\">{}</td>", short(figure(n))));
            }
            table += "</tr>";
        }
        let _ = write!(table, "<tr><td class=\"soft\">rows that train has too</td><td></td>");
        for rows in &self.repeated_rows {
            let _ = write!(table, "<td class=\"n\">{} of {}</td>", count(rows.repeated), count(rows.compared));
        }
        table + "</tr></tbody></table>"
    }

    fn html_column(&self, column: &ColumnReport) -> String {
        let class = if column.role == Role::Feature { "name" } else { "name soft" };
        let role = if column.role == Role::Feature { "" } else { column.role.name() };
        let mut row = format!(
            "<tr><td class=\"{class}\" title=\"{0}\">{0}</td><td class=\"soft\">{1} {role}</td>",
            escaped(&column.name),
            column.kind()
        );
        let is_sparse = column.missing * 2 > self.n_rows;
        let mut cell = |text: &str, is_alert: bool| {
            let _ = write!(row, "<td class=\"n{}\">{text}</td>", if is_alert { " alert" } else { "" });
        };
        cell(&percent(column.missing, self.n_rows), is_sparse);
        cell(&self.distinct(column), false);
        match column.numbers.as_ref().filter(|numbers| numbers.count > 0) {
            Some(n) => {
                let _ = write!(row, "<td>{}</td>", histogram(n));
                let _ = write!(
                    row,
                    "<td class=\"n\">{} <span class=\"soft\">± {}</span></td>",
                    short(n.mean),
                    short(n.std)
                );
                [n.min, n.quantiles[2], n.max].iter().for_each(|&x| {
                    let _ = write!(row, "<td class=\"n\">{}</td>", short(x));
                });
            }
            None => {
                let bars: String =
                    column.levels.iter().take(3).map(|of| level_bar(&of.level, of.count, self.n_sampled)).collect();
                let _ = write!(row, "<td>{bars}</td><td></td><td></td><td></td><td></td>");
            }
        }
        let alert = |is_alert: bool| if is_alert { " alert" } else { "" };
        let is_leak = self.warnings.iter().any(|of| of.kind == WarningKind::Leak && of.columns.contains(&column.name));
        let alone = column.alone.as_ref().map_or(String::new(), Alone::short);
        let _ = write!(row, "<td class=\"n{}\">{alone}</td>", alert(is_leak));
        for i in 0..2 {
            let figures = column.drift.get(i).map_or(String::new(), Drift::figures);
            let is_notable = column.drift.get(i).is_some_and(|drift| drift.is_notable);
            let _ = write!(row, "<td class=\"n{}\">{figures}</td>", alert(is_notable));
        }
        row + "</tr>"
    }
}

impl WarningKind {
    fn name(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Leak => "leak",
            Self::DuplicateColumns => "duplicate columns",
            Self::RepeatedRows => "repeated rows",
            Self::Identifier => "identifier",
            Self::Missing => "missing values",
            Self::ManyLevels => "many levels",
            Self::Drift => "drift",
        }
    }
}

/// Twenty bars.
fn histogram(numbers: &NumberStats) -> String {
    let most = numbers.histogram.iter().max().copied().unwrap_or(0).max(1) as f64;
    let mut svg = String::from("<svg width=\"140\" height=\"32\" viewBox=\"0 0 140 32\" role=\"img\">");
    for (i, &n) in numbers.histogram.iter().enumerate().filter(|(_, n)| **n > 0) {
        let height = (30.0 * n as f64 / most).max(1.0);
        let _ = write!(svg, "<rect x=\"{}\" y=\"{:.1}\" width=\"6\" height=\"{height:.1}\"/>", i * 7, 32.0 - height);
    }
    svg + "</svg>"
}

/// A name and a bar as long as its share.
fn level_bar(name: &str, n: usize, all: usize) -> String {
    let share = 100.0 * n as f64 / all.max(1) as f64;
    let name = escaped(name);
    format!(
        "<div class=\"level\" title=\"{name}: {}\"><span>{name}</span><span class=\"track\"><i style=\"width:{share:.1}%\"></i></span></div>",
        count(n)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
