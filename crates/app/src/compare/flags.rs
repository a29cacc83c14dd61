//! Flags of `compare_runs`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_yaml::Value;

use crate::cli::push;
use crate::config::Override;

// No doc comments on these structs: clap would print them in place of the program's own description.
#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Which runs")]
pub struct SelectFlags {
    /// Experiment to look in; may be repeated (experiments) [default: all]
    #[arg(long, value_name = "NAME")]
    pub experiment: Vec<String>,
    /// Metric to show; may be repeated, the first one ranks (metrics) [default: what the newest run was stopped by]
    #[arg(long, short, value_name = "NAME")]
    pub metric: Vec<String>,
    /// The lowest value is best (best: lowest)
    #[arg(long, conflicts_with = "descending")]
    pub ascending: bool,
    /// The highest value is best (best: highest)
    #[arg(long)]
    pub descending: bool,
    /// MLflow filter: "params.model.dropout = '0.2' and metrics.val_auc > 0.8" (filter)
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// train, refit, trial, baseline, fold, member, evaluate, .. or all; may be repeated (kinds) [default: train and refit]
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// finished, failed, killed, running or all; may be repeated (statuses) [default: finished]
    #[arg(long, value_name = "STATUS")]
    pub status: Vec<String>,
    /// active, deleted or all (view)
    #[arg(long, value_name = "VIEW")]
    pub view: Option<String>,
    /// Only runs that started since: 7d, 12h, 2026-05-01 (since)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// So many of the best (top) [default: 20; 1000 with --html]
    #[arg(long, visible_alias = "max-results", value_name = "N")]
    pub top: Option<u64>,
}

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "What to show")]
pub struct ShowFlags {
    /// Form of the table
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub format: Format,
    /// Columns: rank, name, age, metrics.test_auc, params.seed, tags.mlflow.user, .. (columns)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// Take runs together by a param, or `seed`: those that differ in their seeds only (group_by)
    #[arg(long, value_name = "PARAM")]
    pub group_by: Option<String>,
    /// Show what differs between two runs: ids, beginnings of ids, or names
    #[arg(long, num_args = 2, value_names = ["RUN", "RUN"])]
    pub diff: Option<Vec<String>>,
    /// Write a page with tables and pictures that needs nothing but a browser
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Do not look at stored predictions (statistics.enabled: false)
    #[arg(long)]
    pub no_statistics: bool,
}

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Register and promote")]
pub struct DecideFlags {
    /// Register the best run's model (or that of --run) under this name
    #[arg(long, value_name = "NAME")]
    pub register: Option<String>,
    /// The run to register, in place of the best one: its id, the beginning of it, or its name
    #[arg(long, value_name = "RUN", requires = "register")]
    pub run: Option<String>,
    /// Folder of the model among the run's artifacts, where there are no logged models [default: model]
    #[arg(long, value_name = "FOLDER", requires = "register")]
    pub artifact_path: Option<String>,
    /// Point this alias to the version
    #[arg(long, value_name = "ALIAS")]
    pub alias: Option<String>,
    /// Move the version to a stage: Staging or Production
    #[arg(long, value_name = "STAGE")]
    pub promote: Option<String>,
    /// Move other versions at that stage to Archived
    #[arg(long, requires = "promote")]
    pub archive_existing: bool,
    /// Tag of the version; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "register")]
    pub tag: Vec<String>,
    /// Description of the version [default: run, metric and date]
    #[arg(long, value_name = "TEXT", requires = "register")]
    pub description: Option<String>,
    /// File with requirements (a list, or a YAML file with `gates:`); if one does not hold, nothing changes (gates)
    #[arg(long, value_name = "FILE", requires = "register")]
    pub gate: Option<PathBuf>,
    /// Must be better than this model on the same rows: @ALIAS, models:/NAME/VERSION, runs:/RUN_ID/model
    #[arg(long, value_name = "MODEL", requires = "register")]
    pub require_better_than: Option<String>,
    /// By more than this
    #[arg(long, value_name = "X", requires = "require_better_than")]
    pub min_delta: Option<f64>,
    /// With this confidence [default: by its value alone]
    #[arg(long, value_name = "SHARE", requires = "require_better_than")]
    pub confidence: Option<f64>,
    /// Put the alias (or, with --promote, the stage) of this registered model back to the version before
    #[arg(long, value_name = "NAME", conflicts_with = "register")]
    pub rollback: Option<String>,
    /// Say what would be done; change and log nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Reproduce")]
pub struct ReproduceFlags {
    /// Write the YAML that reproduces this run
    #[arg(long, value_name = "RUN")]
    pub export_config: Option<String>,
    /// Where to [default: stdout]
    #[arg(long, value_name = "FILE", requires = "export_config")]
    pub output: Option<PathBuf>,
}

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
pub struct CompareFlags {
    #[command(flatten)]
    pub select: SelectFlags,
    #[command(flatten)]
    pub show: ShowFlags,
    #[command(flatten)]
    pub decide: DecideFlags,
    #[command(flatten)]
    pub reproduce: ReproduceFlags,
}

/// Form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[allow(missing_docs)]
pub enum Format {
    #[default]
    Table,
    Csv,
    Json,
    Md,
}

/// Without a choice, a page has more runs than a terminal.
const TOP_OF_PAGE: u64 = 1000;

impl CompareFlags {
    /// The flags that are config keys.
    pub fn overrides(&self) -> Vec<Override> {
        let mut all = Vec::new();
        let select = &self.select;
        let list = |values: &[String]| (!values.is_empty()).then(|| values.to_vec());
        // `all` is no restriction.
        let open_list = |values: &[String], text: fn(&str) -> String| {
            let is_all = values.iter().any(|value| value.eq_ignore_ascii_case("all"));
            list(values)
                .map(|values| if is_all { Vec::new() } else { values.iter().map(|value| text(value)).collect() })
        };
        push(&mut all, "--experiment", "experiments", list(&select.experiment));
        push(&mut all, "--metric", "metrics", list(&select.metric));
        push(&mut all, "--ascending", "best", select.ascending.then_some("lowest"));
        push(&mut all, "--descending", "best", select.descending.then_some("highest"));
        push(&mut all, "--filter", "filter", select.filter.clone());
        push(&mut all, "--kind", "kinds", open_list(&select.kind, str::to_lowercase));
        push(&mut all, "--status", "statuses", open_list(&select.status, str::to_uppercase));
        push(&mut all, "--view", "view", select.view.clone());
        push(&mut all, "--since", "since", select.since.clone());
        let of_page = self.show.html.as_ref().map(|_| TOP_OF_PAGE);
        push(&mut all, "--top", "top", select.top.or(of_page));
        push(&mut all, "--columns", "columns", self.show.columns.clone());
        push(&mut all, "--group-by", "group_by", self.show.group_by.clone());
        push(&mut all, "--no-statistics", "statistics.enabled", self.show.no_statistics.then_some(Value::Bool(false)));
        all
    }
}
