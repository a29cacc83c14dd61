//! All trials of a search as a table.

use anyhow::Result;
use dataset::{Column, OutputColumn, OutputFormat, OutputType, RowWriter, Table};
use tuning::{Trial, TrialState};

use crate::session::Session;
use crate::tune::outputs::{Finished, plain, run_of, seconds};

/// One row per trial, with a column per parameter.
fn columns(finished: &Finished) -> Vec<(String, OutputColumn)> {
    let text = |cell: &dyn Fn(&Trial) -> Option<String>| {
        OutputColumn::Text(finished.trials.iter().map(|trial| cell(trial).unwrap_or_default()).collect())
    };
    let numbers = |cell: &dyn Fn(&Trial) -> Option<f64>| {
        OutputColumn::Number(finished.trials.iter().map(|trial| cell(trial).unwrap_or(f64::NAN)).collect())
    };
    let mut columns = vec![
        (
            "number".to_owned(),
            OutputColumn::Whole(finished.trials.iter().map(|trial| i64::from(trial.number)).collect()),
        ),
        ("state".to_owned(), text(&|trial| Some(state_name(trial).to_owned()))),
    ];
    for (index, objective) in finished.objectives.iter().enumerate() {
        columns.push((objective.name.clone(), numbers(&|trial| trial.values.get(index).copied())));
    }
    columns.push(("last_value".to_owned(), numbers(&|trial| Some(*trial.intermediate.last_key_value()?.1))));
    columns.push(("epochs".to_owned(), numbers(&|trial| Some(*trial.intermediate.last_key_value()?.0 as f64))));
    for param in finished.space.params() {
        let of = |trial: &Trial| Some(param.distribution.to_json(*trial.params.get(&param.name)?));
        let column = match param.distribution {
            tuning::Distribution::Categorical { .. } => text(&|trial| of(trial).map(|value| plain(&value))),
            _ => numbers(&|trial| trial.params.get(&param.name).copied()),
        };
        columns.push((param.name.clone(), column));
    }
    columns.push(("seconds".to_owned(), numbers(&|trial| Some(seconds(trial.started?, trial.ended?)))));
    columns.push(("started".to_owned(), text(&|trial| trial.started.map(|time| time.to_string()))));
    columns.push(("ended".to_owned(), text(&|trial| trial.ended.map(|time| time.to_string()))));
    columns.push(("run_id".to_owned(), text(&|trial| run_of(trial).map(str::to_owned))));
    columns.push(("failure".to_owned(), text(&|trial| trial.failure().map(str::to_owned))));
    columns
}

/// The same table as CSV and as Parquet.
pub fn write(finished: &Finished, session: &Session) -> Result<()> {
    let columns = columns(finished);
    let output_type = |column: &OutputColumn| match column {
        OutputColumn::Whole(_) => OutputType::Whole,
        OutputColumn::Number(_) => OutputType::Number,
        _ => OutputType::Text,
    };
    let types: Vec<_> = columns.iter().map(|(name, column)| (name.clone(), output_type(column))).collect();
    let numbers = finished.trials.iter().map(|trial| Some(f64::from(trial.number))).collect();
    let rows = Table::new("trials", vec![Column::from_numbers("number", numbers)])?;
    for (name, format) in [("trials.csv", OutputFormat::Csv), ("trials.parquet", OutputFormat::Parquet)] {
        let writer = RowWriter::create(Some(&session.in_folder(name)), format, types.clone())?;
        writer.write(writer.encode(&rows, &columns)?)?;
        writer.finish()?;
    }
    Ok(())
}

fn state_name(trial: &Trial) -> &'static str {
    match trial.state {
        TrialState::Complete => "complete",
        TrialState::Pruned => "pruned",
        TrialState::Fail if trial.failure().is_none() => "requeued",
        TrialState::Fail => "failed",
        TrialState::Running => "running",
        TrialState::Waiting => "waiting",
    }
}
