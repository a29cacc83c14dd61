//! Registered models, their versions, and the way from a name to files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::{fresh_experiment, fresh_name, fresh_run, pairs, start};
use crate::{
    ArtifactsOf, Error, ModelVersion, NewRegisteredModel, NewVersion, Registry, Result, Stage, Store, download, resolve,
};

pub(super) fn run(store: &dyn Store, scratch: &Path) {
    let registry = store.registry();
    registered_models(registry);
    names(registry);
    versions(store);
    version_race(store);
    stages(store);
    aliases(store);
    moved_aliases(store);
    renaming_and_deleting(store);
    unknown_names(store);
    downloads(store, scratch);
    broken_downloads(store, scratch);
}

fn map(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs(list).into_iter().collect()
}

pub(super) fn fresh_model(registry: &dyn Registry, what: &str) -> String {
    let name = fresh_name(what);
    registry.create_model(&NewRegisteredModel { name: name.clone(), ..NewRegisteredModel::default() }).unwrap();
    name
}

/// Registers the folder `model` of a run.
pub(super) fn register(store: &dyn Store, name: &str, run_id: &str) -> ModelVersion {
    let source = format!("runs:/{run_id}/model");
    store.registry().create_version(&NewVersion { name: name.into(), source, ..NewVersion::default() }).unwrap()
}

fn refused<T: std::fmt::Debug>(what: &str, answer: Result<T>) {
    let error = answer.expect_err(what);
    assert!(matches!(error, Error::Invalid(_)), "{what}: {error:?}");
}

fn not_found<T: std::fmt::Debug>(what: &str, answer: Result<T>) {
    let error = answer.expect_err(what);
    assert!(matches!(error, Error::NotFound(_)), "{what}: {error:?}");
}

fn registered_models(registry: &dyn Registry) {
    let name = fresh_name("wine model.v1 'ü'");
    let new = NewRegisteredModel {
        name: name.clone(),
        description: "# Wine\n\n*\u{1F377}*".into(),
        tags: map(&[("team", "red"), ("task/kind", "regression")]),
    };
    let created = registry.create_model(&new).unwrap();
    assert_eq!((&created.name, &created.description, &created.tags), (&name, &new.description, &new.tags));
    assert!(created.creation_time_ms > 1_600_000_000_000 && created.last_update_time_ms >= created.creation_time_ms);
    assert_eq!(registry.model(&name).unwrap(), created);
    let error = registry.create_model(&new).unwrap_err();
    assert!(matches!(error, Error::AlreadyExists(_)) && error.to_string().contains(&name), "{error:?}");

    registry.set_model_tag(&name, "team", "blue").unwrap();
    registry.set_model_tag(&name, "empty", "").unwrap();
    registry.delete_model_tag(&name, "task/kind").unwrap();
    registry.delete_model_tag(&name, "task/kind").unwrap();
    registry.set_model_description(&name, "new").unwrap();
    let changed = registry.model(&name).unwrap();
    assert_eq!((changed.description.as_str(), changed.tags), ("new", map(&[("team", "blue"), ("empty", "")])));

    let other = fresh_model(registry, "another");
    let listed: Vec<String> = registry.models().unwrap().into_iter().map(|model| model.name).collect();
    assert!(listed.contains(&name) && listed.contains(&other) && listed.is_sorted(), "{listed:?}");
    registry.delete_model(&other).unwrap();
    assert!(registry.models().unwrap().iter().all(|model| model.name != other));
}

fn names(registry: &dyn Registry) {
    let name = fresh_model(registry, "names");
    for bad in ["", " ", "a/b", "a:b", "..", "../a"] {
        let new = NewRegisteredModel { name: bad.into(), ..NewRegisteredModel::default() };
        refused(bad, registry.create_model(&new));
        refused(bad, registry.rename_model(&name, bad));
    }
    refused("a%b", registry.set_model_tag(&name, "a%b", "1"));
    let prompt = NewRegisteredModel {
        name: fresh_name("prompt"),
        tags: map(&[("mlflow.prompt.is_prompt", "true")]),
        ..NewRegisteredModel::default()
    };
    registry.create_model(&prompt).unwrap();
    assert!(registry.models().unwrap().iter().all(|model| model.name != prompt.name), "a prompt is no model");
}

fn versions(store: &dyn Store) {
    let registry = store.registry();
    let name = fresh_model(registry, "versions \"quoted\"");
    let run_id = fresh_run(store, "versions").run_id;
    let source = format!("runs:/{run_id}/model");
    let new = NewVersion {
        name: name.clone(),
        source: source.clone(),
        description: "first".into(),
        tags: map(&[("validated", "no")]),
        ..NewVersion::default()
    };
    let first = registry.create_version(&new).unwrap();
    assert_eq!((first.name.as_str(), first.version, first.source.as_str()), (name.as_str(), 1, source.as_str()));
    assert_eq!((first.run_id.as_deref(), first.description.as_str()), (Some(run_id.as_str()), "first"));
    assert_eq!((first.stage, first.aliases.len(), &first.tags), (Stage::None, 0, &new.tags));
    assert_eq!(registry.version(&name, 1).unwrap(), first);
    assert_eq!(registry.version_location(&name, 1).unwrap(), source);

    let second = register(store, &name, &run_id);
    let source = format!("models:/{name}/1");
    let copied = registry.create_version(&NewVersion { name: name.clone(), source, ..NewVersion::default() }).unwrap();
    let numbers = |found: Vec<ModelVersion>| found.into_iter().map(|found| found.version).collect::<Vec<_>>();
    assert_eq!((second.version, copied.version), (2, 3));
    assert_eq!(numbers(registry.versions(&name).unwrap()), [1, 2, 3]);
    assert_eq!(registry.version_location(&name, 3).unwrap(), first.source, "a copy has the files of its origin");

    registry.set_version_tag(&name, 2, "validated", "yes").unwrap();
    registry.delete_version_tag(&name, 2, "nothing").unwrap();
    registry.set_version_description(&name, 2, "better").unwrap();
    let changed = registry.version(&name, 2).unwrap();
    assert_eq!((changed.description.as_str(), changed.tags), ("better", map(&[("validated", "yes")])));
    registry.delete_version_tag(&name, 2, "validated").unwrap();
    assert_eq!(registry.version(&name, 2).unwrap().tags, BTreeMap::new());

    registry.delete_version(&name, 3).unwrap();
    assert_eq!(numbers(registry.versions(&name).unwrap()), [1, 2]);
    not_found("a deleted version", registry.version(&name, 3));
    not_found("a deleted version", registry.set_version_tag(&name, 3, "a", "b"));
    assert_eq!(register(store, &name, &run_id).version, 4, "a number is not used again");
    refused("no source", registry.create_version(&NewVersion { name, ..NewVersion::default() }));
}

/// Several threads register versions of one model at once; each gets a number of its own.
fn version_race(store: &dyn Store) {
    let name = fresh_model(store.registry(), "race");
    let run_id = fresh_run(store, "version-race").run_id;
    let mut numbers: Vec<u32> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| register(store, &name, &run_id).version)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(store.registry().versions(&name).unwrap().len(), 4);
}

fn stages(store: &dyn Store) {
    let registry = store.registry();
    let name = fresh_model(registry, "stages");
    let run_id = fresh_run(store, "stages").run_id;
    for _ in 0..3 {
        register(store, &name, &run_id);
    }
    let at = || registry.versions(&name).unwrap().into_iter().map(|version| version.stage).collect::<Vec<_>>();
    registry.set_stage(&name, 1, Stage::Production, false).unwrap();
    registry.set_stage(&name, 2, Stage::Production, false).unwrap();
    assert_eq!(at(), [Stage::Production, Stage::Production, Stage::None]);
    registry.set_stage(&name, 3, Stage::Production, true).unwrap();
    assert_eq!(at(), [Stage::Archived, Stage::Archived, Stage::Production]);
    registry.set_stage(&name, 1, Stage::Staging, true).unwrap();
    assert_eq!(at(), [Stage::Staging, Stage::Archived, Stage::Production]);
    refused("no active stage", registry.set_stage(&name, 1, Stage::Archived, true));
    registry.set_stage(&name, 1, Stage::None, false).unwrap();
    assert_eq!(registry.version(&name, 1).unwrap().stage, Stage::None);
}

fn aliases(store: &dyn Store) {
    let registry = store.registry();
    let name = fresh_model(registry, "aliases");
    let run_id = fresh_run(store, "aliases").run_id;
    register(store, &name, &run_id);
    register(store, &name, &run_id);
    for (alias, version) in [("champion", 1), ("challenger", 2), ("champion", 2), ("first-one", 1)] {
        registry.set_alias(&name, alias, version).unwrap();
    }
    let expected = [("challenger", 2), ("champion", 2), ("first-one", 1)].map(|(alias, to)| (alias.to_owned(), to));
    assert_eq!(registry.model(&name).unwrap().aliases, BTreeMap::from(expected));
    let champion = registry.version_by_alias(&name, "champion").unwrap();
    assert_eq!((champion.version, champion.aliases.as_slice()), (2, &["challenger".to_owned(), "champion".into()][..]));
    let listed = registry.versions(&name).unwrap();
    assert_eq!((listed[0].aliases.len(), &listed[1]), (1, &champion), "a listing gives whole versions");

    for bad in ["", "latest", "LATEST", "v1", "V02", "a b", "a.b", "ä/1", &"a".repeat(256)] {
        refused(bad, registry.set_alias(&name, bad, 1));
    }
    not_found("no such version", registry.set_alias(&name, "champion", 9));
    registry.delete_alias(&name, "challenger").unwrap();
    registry.delete_alias(&name, "challenger").unwrap();
    let error = registry.version_by_alias(&name, "champoin").unwrap_err();
    assert!(matches!(error, Error::NotFound(_)) && error.to_string().contains("`champion`"), "{error:?}");
    registry.delete_version(&name, 2).unwrap();
    not_found("its version is deleted", registry.version_by_alias(&name, "champion"));
    assert_eq!(registry.model(&name).unwrap().aliases.len(), 1);
}

fn moved_aliases(store: &dyn Store) {
    let registry = store.registry();
    let name = fresh_model(registry, "moved aliases");
    let run_id = fresh_run(store, "moved-aliases").run_id;
    (0..3).for_each(|_| drop(register(store, &name, &run_id)));
    let at = || registry.model(&name).unwrap().aliases.get("champion").copied();
    let conflict = |expected, version, words: &[&str]| {
        let before = at();
        let error = registry.move_alias(&name, "champion", expected, version).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Conflict(_)), "{error:?}");
        assert!(words.iter().all(|word| message.contains(word)) && message.contains("`champion`"), "{message}");
        assert_eq!(at(), before);
    };
    conflict(Some(1), 2, &["is not there", "points to version 1"]);
    registry.move_alias(&name, "champion", None, 1).unwrap();
    conflict(None, 2, &["points to version 1", "is not there"]);
    conflict(Some(3), 2, &["points to version 1", "points to version 3"]);
    registry.move_alias(&name, "champion", Some(1), 2).unwrap();
    registry.move_alias(&name, "champion", Some(2), 2).unwrap();
    assert_eq!(at(), Some(2));

    not_found("no such version", registry.move_alias(&name, "champion", Some(2), 9));
    not_found("no such model", registry.move_alias(&fresh_name("nobody"), "champion", None, 1));
    refused("latest", registry.move_alias(&name, "latest", None, 1));
    assert_eq!(at(), Some(2));
}

fn renaming_and_deleting(store: &dyn Store) {
    let registry = store.registry();
    let (name, new_name, taken) = (fresh_model(registry, "old"), fresh_name("new"), fresh_model(registry, "taken"));
    let run_id = fresh_run(store, "renaming").run_id;
    register(store, &name, &run_id);
    registry.set_version_tag(&name, 1, "a", "b").unwrap();
    registry.set_model_tag(&name, "c", "d").unwrap();
    registry.set_alias(&name, "champion", 1).unwrap();
    let error = registry.rename_model(&name, &taken).unwrap_err();
    assert!(matches!(error, Error::AlreadyExists(_)), "{error:?}");
    registry.rename_model(&name, &new_name).unwrap();
    not_found("the old name", registry.model(&name));
    let version = registry.version_by_alias(&new_name, "champion").unwrap();
    assert_eq!((version.name.as_str(), version.tags), (new_name.as_str(), map(&[("a", "b")])));
    assert_eq!(registry.model(&new_name).unwrap().tags, map(&[("c", "d")]));

    registry.delete_model(&new_name).unwrap();
    not_found("a deleted model", registry.model(&new_name));
    not_found("a deleted model", registry.versions(&new_name));
    not_found("a deleted model", registry.delete_model(&new_name));
    registry.create_model(&NewRegisteredModel { name: new_name.clone(), ..NewRegisteredModel::default() }).unwrap();
    assert_eq!(register(store, &new_name, &run_id).version, 1, "a new model begins anew");
    assert_eq!(registry.model(&new_name).unwrap().aliases, BTreeMap::new());
}

fn unknown_names(store: &dyn Store) {
    let registry = store.registry();
    let (nobody, known) = (fresh_name("nobody"), fresh_model(registry, "known"));
    let version =
        NewVersion { name: nobody.clone(), source: "runs:/a/model".into(), run_id: None, ..NewVersion::default() };
    let answers = [
        registry.model(&nobody).map(drop),
        registry.set_model_description(&nobody, "x"),
        registry.rename_model(&nobody, &fresh_name("new")),
        registry.delete_model(&nobody),
        registry.set_model_tag(&nobody, "a", "b"),
        registry.delete_model_tag(&nobody, "a"),
        registry.versions(&nobody).map(drop),
        registry.version(&nobody, 1).map(drop),
        registry.version(&known, 1).map(drop),
        registry.version_location(&known, 1).map(drop),
        registry.set_version_description(&known, 1, "x"),
        registry.delete_version(&known, 1),
        registry.set_stage(&known, 1, Stage::Staging, false),
        registry.set_version_tag(&known, 1, "a", "b"),
        registry.delete_version_tag(&known, 1, "a"),
        registry.set_alias(&known, "a", 1),
        registry.delete_alias(&nobody, "a"),
        registry.version_by_alias(&nobody, "a").map(drop),
        registry.version_by_alias(&known, "a").map(drop),
        registry.create_version(&version).map(drop),
    ];
    for (index, answer) in answers.into_iter().enumerate() {
        not_found(&format!("call {index} knows no such name"), answer);
    }
}

/// Names and contents of all files below a folder.
pub(super) fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Puts three files of a model below `root` and gives them as [`content`] does.
pub(super) fn put_model(
    store: &dyn Store,
    of: ArtifactsOf<'_>,
    root: &str,
    word: &str,
    scratch: &Path,
) -> BTreeMap<PathBuf, Vec<u8>> {
    let local = scratch.join("model file");
    let files = ["MLmodel", "weights/a 1%.bin", "weights/deep/größe.txt"];
    let content = files.map(|file| (PathBuf::from(file), format!("{word} {file}").into_bytes()));
    for (file, bytes) in files.iter().zip(&content) {
        fs::write(&local, &bytes.1).unwrap();
        store.put_artifact(of, &local, &format!("{root}{file}")).unwrap();
    }
    BTreeMap::from(content)
}

/// All forms of address lead to the files, whole.
fn downloads(store: &dyn Store, scratch: &Path) {
    let registry = store.registry();
    let name = fresh_model(registry, "down load.v1");
    let experiment_id = fresh_experiment(store, "download");
    let mut expected = Vec::new();
    for word in ["one", "two", "three"] {
        let run_id = start(store, &experiment_id, word, 1).run_id;
        expected.push((run_id.clone(), put_model(store, ArtifactsOf::Run(&run_id), "model/", word, scratch)));
        register(store, &name, &run_id);
    }
    registry.set_stage(&name, 1, Stage::Production, false).unwrap();
    registry.set_stage(&name, 2, Stage::Production, false).unwrap();
    registry.set_alias(&name, "champion", 1).unwrap();
    let fetch = |uri: &str| {
        let target = scratch.join(fresh_name("fetched"));
        let files = download(store, uri, &target).unwrap_or_else(|error| panic!("{uri}: {error}"));
        let found = content(&target);
        assert_eq!(files, found.len(), "{uri}");
        found
    };
    for (uri, index) in [
        (format!("runs:/{}/model", expected[1].0), 1),
        (format!("models:/{name}/1"), 0),
        (format!("models:/{name}/latest"), 2),
        (format!("models:/{name}@latest"), 2),
        (format!("models:/{name}/production"), 1),
        (format!("models:/{name}@champion"), 0),
    ] {
        assert_eq!(fetch(&uri), expected[index].1, "{uri}");
    }
    let whole = fetch(&format!("runs:/{}", expected[0].0));
    assert_eq!((whole.len(), whole.contains_key(Path::new("model/MLmodel"))), (3, true), "the whole run");
    let weights = fetch(&format!("models:/{name}@champion/weights"));
    assert_eq!(
        weights.keys().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        ["a 1%.bin", "deep/größe.txt"]
    );
    let file = fetch(&format!("models:/{name}/2/weights/deep/größe.txt"));
    assert_eq!(file, BTreeMap::from([("größe.txt".into(), "two weights/deep/größe.txt".into())]), "one file");
}

/// What cannot be fetched is explained, and leaves nothing behind.
fn broken_downloads(store: &dyn Store, scratch: &Path) {
    let registry = store.registry();
    let name = fresh_model(registry, "broken");
    let run_id = fresh_run(store, "broken").run_id;
    put_model(store, ArtifactsOf::Run(&run_id), "model/", "x", scratch);
    register(store, &name, &run_id);
    registry.set_alias(&name, "champion", 1).unwrap();
    let folder = scratch.join(fresh_name("targets"));
    fs::create_dir(&folder).unwrap();
    let target = folder.join("model");
    let near_name = name.replacen("conformance", "confromance", 1);
    for (uri, part) in [
        (format!("models:/{near_name}/1"), name.as_str()),
        (format!("models:/{near_name}@champion"), &name),
        (format!("models:/{name}@champoin"), "`champion`"),
        (format!("models:/{name}/9"), "version=9"),
        (format!("models:/{name}/Staging"), "'Staging'"),
        (format!("models:/{name}/1/MLmodle"), "MLmodle"),
        (format!("runs:/{run_id}/modle"), "`model`"),
        (format!("runs:/{}/model", "0".repeat(32)), "0000"),
    ] {
        let error = download(store, &uri, &target).expect_err(&uri);
        assert!(matches!(error, Error::NotFound(_)) && error.to_string().contains(part), "{uri}: {error:?}");
    }
    refused("a stage that is none", download(store, &format!("models:/{name}/prod"), &target));
    refused("a path that leads out", download(store, &format!("runs:/{run_id}/../x"), &target));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing is left of a failure");

    let uri = format!("models:/{name}/1");
    fs::create_dir(&target).unwrap();
    assert_eq!(download(store, &uri, &target.join("")).unwrap(), 3, "into an empty folder, with a slash at its end");
    let before = content(&target);
    let error = download(store, &uri, &target).unwrap_err();
    assert!(matches!(error, Error::AlreadyExists(_)), "{error:?}");
    assert_eq!((content(&target), fs::read_dir(&folder).unwrap().count()), (before, 1));
    assert_eq!(resolve(store, &uri).unwrap().path, "model");
}
