//! Registers a model, points an alias or a stage to it, or puts them back; every decision is a run with its evidence.

use anyhow::{Result, bail};
use chrono::Local;
use evaluation::gates::{Gate, GateResult};
use serde_json::{Map, Value, json};
use tracking::{Registry, RunData, Stage, Store};

use super::config::Config;
use super::decision;
use super::flags::DecideFlags;
use super::origin::is_same_file;
use super::select::RankedBy;
use crate::console::number;
use crate::exit::Mistake;
use crate::registering::{VersionText, ensure_version};
use crate::runs::digest_of;
use crate::session::{RunResult, Session};

/// Somebody else may promote at the same time; so often it is judged again.
const MOST_TRIES: usize = 5;
/// Tag of a version: the one that was there before, by alias or stage.
const REPLACES: &str = "replaces.";
/// Its value where there was none.
const NOTHING: &str = "none";

/// What is to be done with which model.
pub struct Plan<'a> {
    /// Registered model.
    pub name: &'a str,
    /// The run whose model it is.
    pub run: &'a RunData,
    /// Address of the model.
    pub source: String,
    /// The metric that ranks, and the run's best value.
    pub metric: Option<(&'a RankedBy, f64)>,
    /// What must hold.
    pub gates: Vec<Gate>,
    /// Where the version goes.
    pub target: Target<'a>,
    /// Tags of the version.
    pub tags: Vec<(String, String)>,
}

/// Where a version goes.
pub struct Target<'a> {
    /// Alias that is to point to it.
    pub alias: Option<&'a str>,
    /// Stage that it moves to, and whether others there are archived.
    pub stage: Option<(Stage, bool)>,
}

/// What was decided.
#[derive(Debug, Default)]
pub struct Decision {
    /// Registered model.
    pub name: String,
    /// The run whose model it is.
    pub run_id: String,
    /// Its version; `None` if nothing was done.
    pub version: Option<u32>,
    /// How the gates turned out.
    pub gates: Vec<GateResult>,
    /// What was done, or would be.
    pub steps: Vec<String>,
    /// What to know about the evidence.
    pub notes: Vec<String>,
    is_dry_run: bool,
}

impl Decision {
    /// The gates that do not hold.
    fn refusals(&self) -> impl Iterator<Item = &GateResult> {
        self.gates.iter().filter(|gate| !gate.passed)
    }
}

/// Judges the model and does what the plan says, all of it or nothing.
pub fn decide(plan: &Plan, flags: &DecideFlags, config: &Config, session: &Session) -> Result<Decision> {
    let store = session.registry_store()?;
    let registry = store.registry();
    let mut decision = Decision {
        name: plan.name.to_owned(),
        run_id: plan.run.info.run_id.clone(),
        is_dry_run: flags.dry_run,
        notes: seen_rows(plan, registry, session.store()),
        ..Decision::default()
    };
    record_subject(plan, session);
    for _ in 0..MOST_TRIES {
        let holder = plan.target.alias.map(|alias| holder(registry, plan.name, alias)).transpose()?.flatten();
        decision.gates =
            decision::check(&plan.gates, (plan.run, plan.name, plan.target.alias), flags.dry_run, config, session)?;
        session.console.stop_if_interrupted()?;
        record_gates(&decision, session)?;
        if decision.refusals().next().is_some() {
            return Ok(decision);
        }
        if flags.dry_run {
            decision.steps = plan.steps("would be", holder, None);
            return Ok(decision);
        }
        let text = plan.version_text(flags.description.as_deref());
        let (version, is_new) =
            ensure_version(registry, (plan.name, &plan.run.info.run_id), plan.source.clone(), text)?;
        match carry_out(plan, registry, version, holder, session) {
            Ok(()) => {
                decision.version = Some(version);
                decision.steps = plan.steps("was", holder, Some(version));
                session.run.set_tag("version", &version.to_string());
                write(&decision, session)?;
                return Ok(decision);
            }
            Err(tracking::Error::Conflict(why)) => {
                session.console.note(&format!("{why}; judging again"));
                // A refusal is to leave nothing behind.
                if is_new {
                    registry.delete_version(plan.name, version)?;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the alias of `{}` was moved {MOST_TRIES} times while this model was judged; try again", plan.name)
}

/// The alias first: it may turn out to have been moved, and then nothing else is done.
fn carry_out(
    plan: &Plan,
    registry: &dyn Registry,
    version: u32,
    holder: Option<u32>,
    session: &Session,
) -> tracking::Result<()> {
    for (key, value) in &plan.tags {
        registry.set_version_tag(plan.name, version, key, value)?;
    }
    registry.set_version_tag(
        plan.name,
        version,
        "decision_run_id",
        session.run.store_id().unwrap_or(session.run.id()),
    )?;
    if let Some(alias) = plan.target.alias.filter(|_| holder != Some(version)) {
        let before = holder.map_or_else(|| NOTHING.to_owned(), |before| before.to_string());
        registry.set_version_tag(plan.name, version, &format!("{REPLACES}{alias}"), &before)?;
        registry.move_alias(plan.name, alias, holder, version)?;
    }
    if let Some((stage, archive_existing)) = plan.target.stage {
        let versions = registry.versions(plan.name)?;
        let before = versions.iter().rev().find(|other| other.stage == stage && other.version != version);
        if versions.iter().any(|other| other.version == version && other.stage != stage) {
            let before = before.map_or_else(|| NOTHING.to_owned(), |before| before.version.to_string());
            registry.set_version_tag(plan.name, version, &format!("{REPLACES}{stage}"), &before)?;
            registry.set_stage(plan.name, version, stage, archive_existing)?;
        }
    }
    if plan.target.alias.is_some() || plan.target.stage.is_some() {
        let known = registry.version(plan.name, version)?.description;
        let line = format!("{} on {}", plan.target.describe(), today());
        if !known.contains(&line) {
            let text = if known.is_empty() { line } else { format!("{known}\n{line}") };
            registry.set_version_description(plan.name, version, &text)?;
        }
    }
    Ok(())
}

/// The version that an alias points to; `None` if there is no such alias, or no such model.
fn holder(registry: &dyn Registry, name: &str, alias: &str) -> Result<Option<u32>> {
    match registry.model(name) {
        Ok(model) => Ok(model.aliases.get(alias).copied()),
        Err(tracking::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Target<'_> {
    /// `promoted to Production, alias champion`
    fn describe(&self) -> String {
        let stage = self.stage.map(|(stage, _)| format!("moved to {stage}"));
        let alias = self.alias.map(|alias| format!("given the alias {alias}"));
        stage.into_iter().chain(alias).collect::<Vec<_>>().join(" and ")
    }
}

impl Plan<'_> {
    fn version_text(&self, description: Option<&str>) -> VersionText {
        let metric = self.metric.map(|(metric, value)| format!("{} {}, ", metric.name, number(value)));
        let default = || {
            format!(
                "{}run {} ({}), registered on {}",
                metric.unwrap_or_default(),
                self.run.info.name,
                self.run.info.run_id,
                today()
            )
        };
        let of_metric = self.metric.map(|(metric, value)| (format!("metric.{}", metric.name), value.to_string()));
        VersionText {
            model: String::new(),
            version: description.map_or_else(default, str::to_owned),
            tags: of_metric.into_iter().chain(self.tags.iter().cloned()).collect(),
        }
    }

    /// `version 3 of income was registered`, `champion was moved from version 2 to 3`
    fn steps(&self, verb: &str, holder: Option<u32>, version: Option<u32>) -> Vec<String> {
        let shown = version.map_or_else(|| "the version".to_owned(), |version| format!("version {version}"));
        let mut steps = vec![format!("run {} {verb} registered as {} ({shown})", self.run.info.run_id, self.name)];
        if let Some((stage, archive_existing)) = self.target.stage {
            let others = if archive_existing { ", others there archived" } else { "" };
            steps.push(format!("{shown} {verb} moved to {stage}{others}"));
        }
        if let Some(alias) = self.target.alias {
            steps.push(match holder {
                Some(before) if Some(before) == version => format!("@{alias} pointed to {shown} before"),
                Some(before) => format!("@{alias} {verb} moved from version {before} to {shown}"),
                None => format!("@{alias} {verb} given to {shown}"),
            });
        }
        steps
    }
}

/// A model that has learnt from another split of the same file may have seen the rows that both are judged on.
fn seen_rows(plan: &Plan, registry: &dyn Registry, store: &dyn Store) -> Vec<String> {
    let aliases = plan.gates.iter().filter_map(|gate| gate.reference()?.strip_prefix('@'));
    let runs = aliases.filter_map(|alias| {
        let rival = registry.version_by_alias(plan.name, alias).ok()?;
        Some((alias, store.run(&rival.run_id?).ok()?))
    });
    let is_seen =
        |(_, rival): &(&str, RunData)| is_same_file(rival, plan.run) && digest_of(rival) != digest_of(plan.run);
    let note = |(alias, _): (&str, RunData)| {
        format!(
            "@{alias} was trained on another split of the same file: it may have seen some of these test rows, which flatters it"
        )
    };
    runs.filter(is_seen).map(note).collect()
}

fn record_subject(plan: &Plan, session: &Session) {
    session.run.set_tag("registered_model", plan.name);
    session.run.set_tag("source_run_id", &plan.run.info.run_id);
}

fn record_gates(decision: &Decision, session: &Session) -> Result<()> {
    let is_refused = decision.refusals().next().is_some();
    session.run.set_tag("decision", if is_refused { "refused" } else { "accepted" });
    write(decision, session)
}

fn write(decision: &Decision, session: &Session) -> Result<()> {
    session.write_text("decision.json", &serde_json::to_string_pretty(&decision.to_json())?)
}

fn today() -> String {
    Local::now().format("%Y-%m-%d").to_string()
}

impl RunResult for Decision {
    fn to_text(&self) -> String {
        let mark = |gate: &GateResult| {
            format!("{}  {}  {}", if gate.passed { "pass" } else { "FAIL" }, gate.gate, gate.reason)
        };
        let mut lines: Vec<String> = self.gates.iter().map(mark).collect();
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(self.steps.iter().cloned());
        if self.refusals().next().is_some() {
            lines.push("nothing was changed".to_owned());
        } else if self.is_dry_run {
            lines.push("dry run: nothing was changed".to_owned());
        }
        lines.join("\n")
    }

    fn summary(&self) -> String {
        match (self.gates.len(), self.refusals().count()) {
            (0, _) => format!("{} decided without gates", self.name),
            (all, failed) => format!("{} of {all} gates passed", all - failed),
        }
    }

    fn to_json(&self) -> Map<String, Value> {
        let is_refused = self.refusals().next().is_some();
        let value = json!({
            "registered_model": self.name,
            "source_run_id": self.run_id,
            "version": self.version,
            "accepted": !is_refused,
            "dry_run": self.is_dry_run,
            "gates": self.gates,
            "steps": self.steps,
            "notes": self.notes,
        });
        value.as_object().cloned().unwrap_or_default()
    }

    fn verdict(&self) -> Result<()> {
        let reasons: Vec<&str> = self.refusals().map(|gate| gate.reason.as_str()).collect();
        match reasons.as_slice() {
            [] => Ok(()),
            reasons => bail!("`{}` stays as it is: {}", self.name, reasons.join("; ")),
        }
    }
}

/// Puts an alias, or a stage, back to the version that was there before.
pub fn roll_back(name: &str, target: &Target, is_dry_run: bool, session: &Session) -> Result<Decision> {
    let store = session.registry_store()?;
    let registry = store.registry();
    registry.model(name)?;
    session.run.set_tag("registered_model", name);
    session.run.set_tag("decision", "rolled back");
    let mut decision = Decision { name: name.to_owned(), is_dry_run, ..Decision::default() };
    if let Some((stage, _)) = target.stage {
        let versions = registry.versions(name)?;
        let Some(current) = versions.iter().rev().find(|version| version.stage == stage) else {
            return Err(Mistake::new(format!("no version of `{name}` is at {stage}")).into());
        };
        let before = before(registry, name, current.version, stage.as_str())?;
        if !is_dry_run {
            registry.set_stage(name, before, stage, true)?;
        }
        decision.version = Some(before);
        decision.steps.push(format!("{stage}: back from version {} to version {before}", current.version));
    }
    if let Some(alias) = target.alias {
        let current = registry.version_by_alias(name, alias)?.version;
        let before = before(registry, name, current, alias)?;
        if !is_dry_run {
            registry.move_alias(name, alias, Some(current), before)?;
        }
        decision.version = Some(before);
        decision.steps.push(format!("@{alias}: back from version {current} to version {before}"));
    }
    if let Some(version) = decision.version {
        let found = registry.version(name, version)?;
        decision.run_id = found.run_id.clone().unwrap_or_default();
        if !is_dry_run {
            let line = format!("{} again on {} (rolled back)", target.describe(), today());
            registry.set_version_description(name, version, format!("{}\n{line}", found.description).trim())?;
        }
    }
    session.run.set_tag("source_run_id", &decision.run_id);
    write(&decision, session)?;
    Ok(decision)
}

/// The version that this one took the place of.
fn before(registry: &dyn Registry, name: &str, version: u32, place: &str) -> Result<u32> {
    let known = registry.version(name, version)?.tags.get(&format!("{REPLACES}{place}")).cloned();
    let hint = format!("choose one with `--register {name} --run RUN`");
    let number = match known.as_deref() {
        Some(NOTHING) => None,
        Some(text) => text.parse().ok(),
        None => {
            let problem = format!("version {version} of `{name}` does not say what was {place} before it");
            return Err(Mistake::new(problem).hint(hint).into());
        }
    };
    let Some(number) = number else {
        return Err(Mistake::new(format!("before version {version} of `{name}` nothing was {place}"))
            .hint(hint)
            .into());
    };
    Ok(registry.version(name, number)?.version)
}
