//! The model card (Mitchell et al. 2019, arXiv 1810.03993): what the model is, what it is for, how good it is, its limits.

use std::path::Path;

use report::{Block, Document, Section};

use super::Evaluation;
use super::config::Config;
use super::page::with_interval;

/// The card by itself: `model_card.md`.
pub fn document(found: &Evaluation, config: &Config) -> Document {
    let section = section(found, config);
    Document {
        title: format!("Model card: {}", found.subject.title()),
        subtitle: section.text.clone().unwrap_or_default(),
        sections: vec![Section { title: "The model".to_owned(), text: None, blocks: section.blocks }],
        ..Document::default()
    }
}

/// The card as the last section of the page.
pub fn section(found: &Evaluation, config: &Config) -> Section {
    let mut blocks = vec![Block::Facts(facts(found))];
    let card = &config.card;
    for (title, text) in [
        ("Intended use", &card.intended_use),
        ("Out of scope", &card.out_of_scope_use),
        ("Limits", &limits(found, &card.limitations)),
        ("Ethical considerations", &card.ethical_considerations),
        ("Contact", &card.contact),
        ("Licence", &card.licence),
    ] {
        if !text.trim().is_empty() {
            blocks.push(Block::Text(format!("{title}: {}", text.trim())));
        }
    }
    blocks.push(Block::Text("How to do this again:".to_owned()));
    blocks.push(Block::Code(commands(found)));
    let subject = &found.subject;
    let text = format!("A model that predicts `{}` ({}).", subject.target, subject.task);
    Section { title: "Model card".to_owned(), text: Some(text), blocks }
}

fn facts(found: &Evaluation) -> Vec<(String, String)> {
    let subject = &found.subject;
    let registered = subject.registered.as_ref().map(|(name, version)| format!("{name}, version {version}"));
    let facts = [
        ("model", Some(subject.model.clone())),
        ("kind", Some(subject.model_type.clone())),
        ("registered as", registered),
        ("logged model", subject.model_id.clone()),
        ("trained in run", subject.run_id.clone()),
        ("judged on", Some(format!("{}, {} {}", subject.data, subject.n_rows, subject.unit))),
        ("digest of the data", subject.digest.clone()),
    ];
    let known = facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let main = found.main_figure().map(|figure| (format!("test {}", figure.name), with_interval(figure)));
    known.chain(main).collect()
}

/// What the config says, and what the figures say of the weakest slice.
fn limits(found: &Evaluation, own: &str) -> String {
    let weakest = found.table.as_ref().and_then(|table| table.slices.first()).filter(|slice| slice.value.is_finite());
    let weakest = weakest.map(|slice| {
        let figure = super::figures::Figure { name: String::new(), value: slice.value, interval: slice.interval };
        let (column, level, n_rows) = (&slice.column, &slice.level, slice.n_rows);
        let value = with_interval(&figure);
        format!("weakest where `{column}` is `{level}` ({n_rows} rows): test {} {value}.", found.metric)
    });
    [own.trim().to_owned(), weakest.unwrap_or_default()].join(" ").trim().to_owned()
}

fn commands(found: &Evaluation) -> String {
    let subject = &found.subject;
    if subject.model_type == "predictions" {
        return format!("cargo run --bin evaluate -- --predictions {}", subject.model);
    }
    let program = if subject.model_type == "ts_mlp" { "train_ts_mlp" } else { "train_tabular_mlp" };
    let train = subject.run_id.as_ref().map(|run_id| {
        let artifact = "configs/effective_app_config.yaml";
        format!("# with the config that run {run_id} has as artifact `{artifact}`\n")
            + &format!("cargo run --bin {program} -- --config {artifact}\n")
    });
    let model = if Path::new(&subject.model).is_absolute() {
        subject.run_id.clone().unwrap_or_else(|| subject.model.clone())
    } else {
        subject.model.clone()
    };
    format!("{}cargo run --bin evaluate -- --model {model}", train.unwrap_or_default())
}
