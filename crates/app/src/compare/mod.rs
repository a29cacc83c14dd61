//! What `compare_runs` finds out: which runs there are (`select`), whether they may be compared (`origin`), whether the best
//! one is really better (`stored`, `verdicts`, `groups`), how that is shown (`table`, `grid`, `diff`, `page`), and what is
//! done about it (`decision`, `promote`).

pub mod config;
pub mod decision;
pub mod diff;
pub mod flags;
pub mod grid;
pub mod groups;
pub mod origin;
pub mod page;
pub mod params;
pub mod promote;
pub mod select;
pub mod stored;
pub mod table;
pub mod verdicts;

use anyhow::Result;
use chrono::{Local, TimeZone, Utc};
use tracking::Store;

use self::config::{Best, Config};
use self::flags::Format;
use self::groups::Groups;
use self::origin::{Champion, Shrinkage};
use self::select::Selection;
use self::stored::Places;
use self::verdicts::Judgement;
use crate::console::{Console, number};

/// Verdicts in words under a table; the rest is in its column `p`.
const SHOWN_VERDICTS: usize = 5;

/// Everything that was found out.
pub struct Comparison {
    /// The runs.
    pub selection: Selection,
    /// Of the runs, where they were asked for.
    pub groups: Option<Groups>,
    /// What the predictions say.
    pub judgement: Judgement,
    /// Why figures may not be about the same thing.
    pub warnings: Vec<String>,
    /// Searches among the runs.
    pub studies: Vec<Shrinkage>,
    /// The model in use.
    pub champion: Option<Champion>,
    /// When it was looked.
    pub now_ms: i64,
}

/// Finds the runs and compares them.
pub fn compare(config: &Config, store: &dyn Store, registry: &dyn Store, console: &Console) -> Result<Comparison> {
    let mut selection = select::select(config, store)?;
    let groups = match &config.group_by {
        Some(key) if !selection.runs.is_empty() => Some(groups::group(&selection, key, config)?),
        _ => None,
    };
    let warnings = origin::warnings(&selection);
    // Groups are of all runs, tables of the best ones.
    if selection.runs.len() > config.top {
        selection.runs.truncate(config.top);
        selection.has_more = true;
    }
    let places = Places { store, paths: &config.paths };
    let judgement = match groups.is_none() {
        true => verdicts::judge(&selection, config, &places, console)?,
        false => Judgement::default(),
    };
    let champion_of = (config.champion.as_str(), config.registered_model.as_deref());
    let champion = match selection.runs.is_empty() {
        true => None,
        false => origin::champion(champion_of, &selection, (store, registry))?,
    };
    let studies = origin::shrinkages(&selection, store)?;
    let now_ms = Utc::now().timestamp_millis();
    Ok(Comparison { selection, groups, judgement, warnings, studies, champion, now_ms })
}

impl Comparison {
    /// As it was asked for.
    pub fn to_text(&self, config: &Config, format: Format, width: Option<usize>) -> Result<String> {
        if format == Format::Json {
            return Ok(serde_json::to_string_pretty(&self.to_json())?);
        }
        if self.selection.runs.is_empty() {
            return Ok(if format == Format::Csv { String::new() } else { "No runs found.".to_owned() });
        }
        let is_exact = format == Format::Csv;
        let grid = match &self.groups {
            Some(groups) => table::group_grid(groups, &self.selection.metrics[0].name, is_exact),
            None => table::grid(self, config.columns.as_deref(), is_exact)?,
        };
        Ok(match format {
            Format::Csv => grid.to_csv(),
            Format::Md => format!("{}\n\n{}", grid.to_markdown(), self.remarks(&[]).join("\n\n")),
            Format::Table | Format::Json => {
                let (text, hidden) = grid.to_text(width);
                format!("{}\n\n{text}\n\n{}", self.heading(config), self.remarks(&hidden).join("\n"))
            }
        })
    }

    /// `val_auc, higher is better: 3 runs`
    fn heading(&self, config: &Config) -> String {
        let metric = &self.selection.metrics[0];
        let word = if metric.best == Best::Highest { "higher" } else { "lower" };
        let n = self.selection.runs.len();
        let more = if self.selection.has_more {
            format!("the best {n} runs")
        } else {
            format!("{n} run{}", if n == 1 { "" } else { "s" })
        };
        let kinds: Vec<&str> = config.kinds.iter().map(|kind| kind.as_str()).collect();
        let kinds = if kinds.is_empty() { "any kind".to_owned() } else { kinds.join(" or ") };
        format!("{}, {word} is better: {more} of kind {kinds}", metric.name)
    }

    /// What is to be said beside the table.
    fn remarks(&self, hidden: &[String]) -> Vec<String> {
        let mut lines = Vec::new();
        let best = &self.selection.runs[0];
        lines.push(format!(
            "Best run: {} {} with {} {}",
            best.run.info.run_id,
            best.run.info.name,
            self.selection.metrics[0].name,
            number(best.value())
        ));
        if let Some(champion) = &self.champion {
            let value = champion.value.map_or_else(|| "not measured".to_owned(), number);
            lines.push(format!(
                "Champion (*): {} version {}, run {}, {value}",
                champion.name, champion.version, champion.run_id
            ));
        }
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.extend(self.judgement.notes.iter().map(|note| format!("note: {note}")));
        let verdicts: Vec<&str> = match &self.groups {
            None => self.judgement.verdicts.iter().map(|verdict| verdict.text.as_str()).collect(),
            Some(groups) => {
                groups.groups.iter().filter_map(|group| Some(group.difference.as_ref()?.text.as_str())).collect()
            }
        };
        lines.extend(self.judgement.basis.clone());
        lines.extend(verdicts.iter().take(SHOWN_VERDICTS).map(|text| (*text).to_owned()));
        if verdicts.len() > SHOWN_VERDICTS {
            lines.push(format!("and {} more: column `p`, or `--format json`", verdicts.len() - SHOWN_VERDICTS));
        }
        lines.extend(self.studies.iter().map(|study| study.text.clone()));
        if !hidden.is_empty() {
            lines.push(format!("not shown for want of room: {} (`--columns`, `--format csv`)", hidden.join(", ")));
        }
        lines
    }
}

/// Local time.
pub fn moment(time_ms: i64) -> String {
    Local
        .timestamp_millis_opt(time_ms)
        .single()
        .map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}
