//! Properties of the filter grammar, on random filters: what is printed reads back, here and in MLflow; no text makes
//! the parser panic; both local stores find the same runs.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/filters.rs"]
mod filters;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use filters::Generator;
use rand::RngExt;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tempfile::TempDir;
use tracking::filter::{Attribute, Clause, Condition, DatasetField, Field, Filter, OrderBy};
use tracking::{
    Batch, Dataset, DatasetInput, MemoryStore, Metric, NewRun, Page, RunData, RunQuery, RunStatus, SqliteStore, Store,
    ViewType,
};

fn order_texts(order: &OrderBy) -> Vec<String> {
    order.keys.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_printed_reads_back() {
    for seed in 0..5_000 {
        let mut generator = Generator::new(seed);
        let filter = generator.filter();
        let text = filter.to_string();
        assert_eq!(Filter::parse(&text).unwrap(), filter, "seed {seed}: {text}");
        let order = generator.order_by();
        let texts = order_texts(&order);
        assert_eq!(OrderBy::parse(&texts).unwrap(), order, "seed {seed}: {texts:?}");
    }
}

#[test]
fn filters_are_printed_as_people_write_them() {
    for (text, printed) in [
        ("metric.loss<.5 and  run.status = \"FINISHED\"", "metrics.loss < 0.5 AND attributes.status = 'FINISHED'"),
        ("params.'val auc' ilike 'it\"s%'", "params.`val auc` ILIKE 'it\"s%'"),
        ("params.`a``b` = \"it's\"", "params.`a``b` = \"it's\""),
        (
            "created >= 1700000000000 and metrics.x != -1e-9",
            "attributes.start_time >= 1700000000000 AND metrics.x != -1e-9",
        ),
        ("tags.mlflow.user is  not null", "tags.mlflow.user IS NOT NULL"),
        ("datasets.name not in ('a',\"it's\")", "datasets.name NOT IN ('a', \"it's\")"),
        ("metrics.0 = 1e999", "metrics.`0` = 1e999"),
        ("", ""),
    ] {
        assert_eq!(Filter::parse(text).unwrap().to_string(), printed, "{text}");
    }
    let order = OrderBy::parse(&["metrics.`val auc` desc".into(), "created".into()]).unwrap();
    assert_eq!(order.to_string(), "metrics.`val auc` DESC, attributes.start_time ASC");
}

/// Pieces of a filter, in any order mostly nonsense.
const SOUP: [&str; 36] = [
    "metrics.",
    "params.",
    "tags.",
    "datasets.",
    "attributes.",
    "run.",
    "a",
    "run_id",
    "status",
    "name",
    "start_time",
    " ",
    " ",
    " ",
    "=",
    "!=",
    "<",
    "LIKE",
    "ILIKE",
    "IN",
    "NOT",
    "IS",
    "NULL",
    "AND",
    "OR",
    "(",
    ")",
    ",",
    ";",
    "'x'",
    "\"y\"",
    "`",
    "'",
    "\"",
    "1.5",
    "-1e9é",
];

/// A filter with up to three characters replaced by something else, or nothing but pieces.
fn nearly_a_filter(generator: &mut Generator) -> String {
    if generator.rng.random_ratio(1, 4) {
        return generator.soup(&SOUP, 9);
    }
    let mut text = generator.filter().to_string();
    for _ in 0..generator.rng.random_range(0..4) {
        let places: Vec<(usize, char)> = text.char_indices().collect();
        if let Some(&(at, old)) = places.get(generator.rng.random_range(0..=places.len())) {
            let end = at + if generator.rng.random() { old.len_utf8() } else { 0 };
            text.replace_range(at..end, &generator.soup(&SOUP, 1));
        }
    }
    text
}

#[test]
fn no_text_makes_the_parser_panic_and_what_parses_reads_back() {
    let (mut parsed, mut refused) = (0, 0);
    for seed in 0..30_000 {
        let text = nearly_a_filter(&mut Generator::new(seed));
        match Filter::parse(&text) {
            Ok(filter) => {
                assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter, "{text}: {filter}");
                parsed += usize::from(!filter.clauses.is_empty());
            }
            Err(_) => refused += 1,
        }
        if let Ok(order) = OrderBy::parse(std::slice::from_ref(&text)) {
            assert_eq!(OrderBy::parse(&order_texts(&order)).unwrap(), order, "{text}: {order}");
        }
    }
    assert!(parsed > 5_000 && refused > 5_000, "{parsed} parsed, {refused} refused");
}

/// A clause in the form that MLflow's parser gives.
fn as_mlflow(filter: &Filter) -> Value {
    let clause = |field: &Field, condition: &Condition| {
        let (entity, key) = match field {
            Field::Metric(key) => ("metric", key.clone()),
            Field::Param(key) => ("parameter", key.clone()),
            Field::Tag(key) => ("tag", key.clone()),
            Field::Attribute(attribute) => ("attribute", attribute.to_string()),
            Field::Dataset(field) => ("dataset", field.to_string()),
        };
        let (comparator, value) = match condition {
            Condition::Number(op, number) => (op.to_string(), json!(number)),
            Condition::Text(op, text) => (op.to_string(), json!(text)),
            Condition::OneOf(list) => ("IN".into(), json!(list)),
            Condition::NoneOf(list) => ("NOT IN".into(), json!(list)),
            Condition::Absent => ("IS NULL".into(), Value::Null),
            Condition::Present => ("IS NOT NULL".into(), Value::Null),
        };
        json!([entity, key, comparator, value])
    };
    filter.clauses.iter().map(|c| clause(&c.field, &c.condition)).collect()
}

/// Where the two grammars differ. MLflow's texts know `\'`, its lists are literals of Python, where `'a''b'` is `ab`, and
/// its keys lose backticks inside of quotes too. No key that MLflow accepts has a quote.
fn differs_in_mlflow(clause: &Clause) -> bool {
    let has_both_quotes = |text: &String| text.contains('\'') && text.contains('"');
    let odd_list = match &clause.condition {
        Condition::OneOf(list) | Condition::NoneOf(list) => list.iter().any(has_both_quotes),
        _ => false,
    };
    let odd_key = match &clause.field {
        Field::Metric(key) | Field::Param(key) | Field::Tag(key) => key.starts_with('`') && key.ends_with('`'),
        _ => false,
    };
    odd_list || odd_key || clause.to_string().contains('\\')
}

#[test]
fn mlflow_reads_what_is_printed_in_the_same_way() {
    let Ok(interpreter) = std::env::var("MLFLOW_PYTHON") else {
        eprintln!("skipped: MLFLOW_PYTHON is not set");
        return;
    };
    let filters: Vec<Filter> = (0..3_000)
        .map(|seed| Generator::new(seed).filter())
        .filter(|filter| !filter.clauses.iter().any(differs_in_mlflow))
        .collect();
    assert!(filters.len() > 1_500, "{}", filters.len());
    let texts: Vec<String> = filters.iter().map(ToString::to_string).collect();
    let mut child = Command::new(interpreter)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/parse_filter.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(serde_json::to_string(&texts).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let theirs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let different: Vec<_> = filters
        .iter()
        .zip(&texts)
        .zip(&theirs)
        .filter(|((filter, _), theirs)| as_mlflow(filter) != **theirs)
        .map(|((_, text), theirs)| (text, theirs.to_string()))
        .collect();
    assert!(
        different.is_empty(),
        "{} of {}: {:#?}",
        different.len(),
        texts.len(),
        &different[..different.len().min(20)]
    );
}

const KEYS: [&str; 5] = ["a", "b.c", "val/auc", "größe", "hidden dim"];
const TEXTS: [&str; 12] = ["", "a", "A", "ab", "aB%", "a_b", "it's", "straße", "STRASSE", "mlp", "RUNNING", "training"];
const NUMBERS: [f64; 9] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.5, 0.0, -0.0, 0.1, 1.0, 1e300];

fn pool(seed: u64) -> Generator {
    let mut generator = Generator::new(seed);
    generator.keys = KEYS.map(str::to_owned).to_vec();
    generator.texts = TEXTS.map(str::to_owned).to_vec();
    generator.numbers = NUMBERS.into_iter().filter(|number| !number.is_nan()).chain([2.0, 3.0]).collect();
    generator
}

/// Creates a run in both stores under one id, which the one in memory has chosen.
fn create_in_both(memory: &MemoryStore, sqlite: &SqliteStore, database: &Path, run: &NewRun) -> String {
    let run_id = memory.create_run(run).unwrap().run_id;
    let other = sqlite.create_run(run).unwrap();
    let artifact_uri = other.artifact_uri.replace(&other.run_id, &run_id);
    let connection = Connection::open(database).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection
        .execute(
            "UPDATE runs SET run_uuid = ?1, artifact_uri = ?2, name = replace(name, ?3, ?4) WHERE run_uuid = ?5",
            params![run_id, artifact_uri, &other.run_id[..8], &run_id[..8], other.run_id],
        )
        .unwrap();
    connection
        .execute(
            "UPDATE tags SET run_uuid = ?1, value = replace(value, ?2, ?3) WHERE run_uuid = ?4",
            params![run_id, &other.run_id[..8], &run_id[..8], other.run_id],
        )
        .unwrap();
    run_id
}

fn random_batch(generator: &mut Generator) -> Batch {
    let metrics = (0..generator.rng.random_range(0..6))
        .map(|_| Metric {
            key: generator.pick(&KEYS).to_owned(),
            value: generator.pick(&NUMBERS),
            timestamp_ms: generator.rng.random_range(0..2),
            step: generator.rng.random_range(-1..2),
        })
        .collect();
    let pairs = |generator: &mut Generator| -> BTreeMap<String, String> {
        let pair = |g: &mut Generator| (g.pick(&KEYS).to_owned(), g.pick(&TEXTS).to_owned());
        (0..generator.rng.random_range(0..4)).map(|_| pair(generator)).collect()
    };
    let (params, tags) = (pairs(generator), pairs(generator));
    Batch { metrics, params: params.into_iter().collect(), tags: tags.into_iter().collect() }
}

fn random_input(generator: &mut Generator) -> DatasetInput {
    let context = generator.pick(&TEXTS).to_owned();
    let tags =
        if generator.rng.random() { [("mlflow.data.context".to_owned(), context)].into() } else { BTreeMap::new() };
    let (name, digest) = (generator.pick(&TEXTS).to_owned(), generator.pick(&["1", "2"]).to_owned());
    DatasetInput { dataset: Dataset { name, digest, ..Dataset::default() }, tags }
}

type Change<'a> = Box<dyn Fn(&dyn Store) -> tracking::Result<()> + 'a>;

/// Does one random thing to a run, in both stores; they must agree on whether it is allowed.
fn change_in_both(generator: &mut Generator, stores: [&dyn Store; 2], run_id: &str) {
    let change: Change = match generator.rng.random_range(0..10) {
        0 => {
            let status = generator.pick(&[RunStatus::Finished, RunStatus::Failed, RunStatus::Killed]);
            let end = generator.pick(&[None, Some(1), Some(2)]);
            let name = generator.pick(&TEXTS);
            Box::new(move |store| store.update_run(run_id, status, end, Some(name).filter(|name| !name.is_empty())))
        }
        1 => Box::new(|store| store.delete_tag(run_id, "mlflow.runName")),
        2 => Box::new(|store| store.delete_run(run_id)),
        3 => Box::new(|store| store.restore_run(run_id)),
        4 => {
            let inputs = [random_input(generator), random_input(generator)];
            Box::new(move |store| store.log_inputs(run_id, &inputs))
        }
        _ => {
            let batch = random_batch(generator);
            Box::new(move |store| store.log_batch(run_id, &batch))
        }
    };
    let [first, second] = stores.map(|store| change(store).map_err(|error| error.to_string()));
    assert_eq!(first, second);
}

fn random_query(generator: &mut Generator, run_ids: &[String]) -> RunQuery {
    if generator.rng.random_ratio(1, 8) {
        generator.texts = run_ids.to_vec();
    }
    let (filter, order) = (generator.filter(), generator.order_by());
    RunQuery {
        experiment_ids: generator.pick(&[vec!["0".into()], vec!["1".into(), "0".into()]]),
        filter: filter.to_string(),
        order_by: order_texts(&order),
        view: generator.pick(&[ViewType::ActiveOnly, ViewType::DeletedOnly, ViewType::All]),
        max_results: generator.pick(&[3, 1000]),
        page_token: None,
    }
}

/// All pages of a search.
fn pages(store: &dyn Store, mut query: RunQuery) -> Vec<Page<RunData>> {
    let mut pages = Vec::new();
    loop {
        let page = store.search_runs(&query).unwrap();
        query.page_token = page.next_page_token.clone();
        pages.push(page);
        if query.page_token.is_none() {
            return pages;
        }
    }
}

fn ids(pages: &[Page<RunData>]) -> Vec<&str> {
    pages.iter().flat_map(|page| &page.items).map(|run| run.info.run_id.as_str()).collect()
}

#[test]
fn both_local_stores_find_the_same_runs() {
    let (mut searches, mut telling) = (0, 0);
    for seed in 0..8 {
        let folder = TempDir::new().unwrap();
        let (database, artifacts) = (folder.path().join("mlflow.db"), folder.path().join("mlruns"));
        let (memory, sqlite) = (MemoryStore::new(&artifacts), SqliteStore::open(&database, &artifacts).unwrap());
        assert_eq!(memory.create_experiment("second").unwrap(), sqlite.create_experiment("second").unwrap());
        let mut generator = pool(seed);
        let run_ids: Vec<String> = (0..16)
            .map(|_| {
                let experiment_id = generator.pick(&["0", "1"]).to_owned();
                let (name, user) = (generator.pick(&TEXTS).to_owned(), generator.pick(&TEXTS).to_owned());
                let start_time_ms = generator.rng.random_range(0..4);
                let run = NewRun { experiment_id, name, user, start_time_ms, tags: BTreeMap::new() };
                create_in_both(&memory, &sqlite, &database, &run)
            })
            .collect();
        for _ in 0..100 {
            let run_id = generator.pick(&run_ids);
            change_in_both(&mut generator, [&memory, &sqlite], &run_id);
        }
        for query in 0..250 {
            let query = random_query(&mut pool(1_000 * seed + query), &run_ids);
            let (ours, other) = (pages(&memory, query.clone()), pages(&sqlite, query.clone()));
            assert_eq!(ids(&ours), ids(&other), "seed {seed}: {query:?}");
            // As text: NaN is no equal of itself.
            assert_eq!(format!("{ours:?}"), format!("{other:?}"), "seed {seed}: {query:?}");
            let found: usize = ours.iter().map(|page| page.items.len()).sum();
            searches += 1;
            telling += usize::from((1..run_ids.len()).contains(&found));
        }
    }
    assert_eq!(searches, 2_000);
    assert!(telling > 600, "only {telling} searches find some runs and not all");
}

#[test]
fn names_of_attributes_are_those_of_the_grammar() {
    use Attribute::{ArtifactUri, EndTime, RunId, RunName, StartTime, Status, UserId};
    for attribute in [RunId, RunName, Status, UserId, ArtifactUri, StartTime, EndTime] {
        let order = OrderBy::parse(&[attribute.to_string()]).unwrap();
        assert_eq!(order.keys[0].field, Field::Attribute(attribute));
    }
    for field in [DatasetField::Name, DatasetField::Digest, DatasetField::Context] {
        let filter = Filter::parse(&format!("dataset.{field} = 'x'")).unwrap();
        assert_eq!(filter.clauses[0].field, Field::Dataset(field));
    }
}
