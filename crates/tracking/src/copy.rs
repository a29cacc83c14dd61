//! Copying runs, models and the registry from one store to another.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model_uri::files_below;
use crate::rules::{LOCAL_ID_TAG, PARENT_TAG};
use crate::start::{existing_experiment, experiment_id};
use crate::{
    Artifact, ArtifactsOf, Batch, Error, Experiment, LoggedModel, ModelOutput, ModelStatus, ModelVersion,
    NewLoggedModel, NewRegisteredModel, NewRun, NewVersion, Result, RunData, RunQuery, Stage, Store, ViewType,
};

/// On a copy that is complete: a fingerprint of the original. When it is still the same, there is nothing to copy.
const COPIED_TAG: &str = "tracking.copied";
/// On a copied model: the id of the original.
const SOURCE_MODEL_TAG: &str = "tracking.source_model_id";
/// On a copied version: number and time of creation of the original.
const SOURCE_VERSION_TAG: &str = "tracking.source_version";
const RUNS_PER_PAGE: usize = 1000;

/// What to copy.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Names of experiments; all when empty.
    pub experiments: Vec<String>,
    /// Ids of runs; all when empty.
    pub run_ids: Vec<String>,
    /// Only look at what there is to do.
    pub dry_run: bool,
}

/// What was copied, or with `dry_run` would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Runs that were not there, or had changed since they were copied.
    pub runs: usize,
    /// Runs that were there already, just as they are.
    pub unchanged_runs: usize,
    /// Points of metrics.
    pub points: usize,
    /// Artifacts.
    pub files: usize,
    /// Logged models.
    pub models: usize,
    /// Versions of registered models.
    pub versions: usize,
    /// What could not be copied, and why. Everything else was.
    pub problems: Vec<String>,
}

/// Copies runs (params, every point with its own time, tags, nesting, data sets, artifacts, logged models) and the
/// registry (models, versions, aliases, stages, tags) from one store to another. Ids become those of the target; a copy
/// is found by the id of its original ([`Tracker::find_run`](crate::Tracker::find_run)).
///
/// May be repeated: what is there is not copied again, what was broken off goes on, what has changed is brought up to
/// date. A copy is not copied back to where its original is. Two processes must not do it at once: each would make a copy.
/// `progress` gets the number of runs done, of all runs, and the name of the next one.
///
/// Errors when a store does not answer, and when both are the same. What the target refuses, be it a tag, a file or a
/// run, is a problem in the report; it is tried again next time.
pub fn copy_runs(
    from: &dyn Store,
    to: &dyn Store,
    options: &CopyOptions,
    progress: &mut dyn FnMut(usize, usize, &str),
) -> Result<Copied> {
    let scratch = Scratch::new()?;
    let mut copy = Copy {
        from,
        to,
        dry_run: options.dry_run,
        is_part: !options.experiments.is_empty(),
        scratch: scratch.0.join("file"),
        experiments: HashMap::new(),
        runs: HashMap::new(),
        models: HashMap::new(),
        listed: HashSet::new(),
        users: Vec::new(),
        report: Copied::default(),
    };
    let runs = copy.find_runs(options)?;
    for (done, run) in runs.iter().enumerate() {
        progress(done, runs.len(), &run.info.name);
        copy.refused_is_a_problem(&format!("run `{}`", run.info.run_id), |copy| copy.run(run))?;
    }
    for user in std::mem::take(&mut copy.users) {
        copy.model_inputs(&user)?;
    }
    progress(runs.len(), runs.len(), "the registry");
    if options.run_ids.is_empty() {
        for model in from.registry().models()? {
            copy.refused_is_a_problem(&format!("registered model `{}`", model.name), |copy| {
                copy.registered(&model.name)
            })?;
        }
    }
    Ok(copy.report)
}

/// A folder for one file at a time, gone at the end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tracking-copy-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&folder).map_err(|source| Error::Io {
            doing: "create",
            path: folder.clone(),
            source,
        })?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The system removes what stays in its temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A copy of a run in the target.
#[derive(Clone)]
struct Twin {
    run_id: String,
    /// The fingerprint of what was copied; none when the copy was broken off.
    copied: Option<String>,
    /// The tags that it has.
    tags: BTreeMap<String, String>,
}

struct Copy<'a> {
    from: &'a dyn Store,
    to: &'a dyn Store,
    dry_run: bool,
    /// Only some experiments: the registry may name runs of others.
    is_part: bool,
    scratch: std::path::PathBuf,
    /// Experiments of the target that were looked at, by their id in the source. None with `dry_run` for a new one.
    experiments: HashMap<String, Option<String>>,
    /// Runs of the target by the id of their original.
    runs: HashMap<String, Twin>,
    /// Logged models of the target by the id of their original.
    models: HashMap<String, String>,
    /// Experiments of the source whose models in the target are among them.
    listed: HashSet<String>,
    /// Runs that use models: these come after all models.
    users: Vec<User>,
    report: Copied,
}

/// A run that uses models, complete but for these.
struct User {
    run: RunData,
    twin: String,
    fingerprint: String,
}

/// A run with everything that a copy needs to know.
struct Whole<'a> {
    run: &'a RunData,
    artifacts: Vec<Artifact>,
    models: Vec<(LoggedModel, Vec<Artifact>)>,
}

impl Whole<'_> {
    /// Changes when anything does, also the parent's id in the target.
    fn fingerprint(&self, parent: Option<&String>) -> String {
        let text = serde_json::json!([self.run, self.artifacts, self.models, parent]).to_string();
        format!("{:08x}-{:x}", crc32fast::hash(text.as_bytes()), text.len())
    }
}

impl Copy<'_> {
    /// What the target refuses is noted, and the rest goes on. A store that does not answer ends it all.
    fn refused_is_a_problem(&mut self, what: &str, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        match work(self) {
            Err(error @ (Error::Invalid(_) | Error::NotFound(_) | Error::AlreadyExists(_) | Error::Io { .. })) => {
                self.report.problems.push(format!("{what}: {error}"));
                Ok(())
            }
            other => other,
        }
    }

    /// The runs to copy, parents before their nested runs. Notes the copies that are there.
    fn find_runs(&mut self, options: &CopyOptions) -> Result<Vec<RunData>> {
        let experiments = self.find_experiments(options)?;
        let mut runs = Vec::new();
        for experiment in &experiments {
            runs.extend(all_runs(self.from, &experiment.experiment_id)?);
        }
        let is_wanted = |run: &RunData| options.run_ids.is_empty() || options.run_ids.contains(&run.info.run_id);
        runs.retain(is_wanted);
        let found: HashSet<&str> = runs.iter().map(|run| run.info.run_id.as_str()).collect();
        if let Some(missing) = options.run_ids.iter().find(|id| !found.contains(id.as_str())) {
            return Err(Error::NotFound(format!("no run `{missing}` in `{}`", self.from.uri())));
        }
        self.check_other_store(&runs)?;
        let used: HashSet<&str> = runs.iter().map(|run| run.info.experiment_id.as_str()).collect();
        let mut there = HashSet::new();
        for experiment in experiments.iter().filter(|experiment| used.contains(experiment.experiment_id.as_str())) {
            self.refused_is_a_problem(&format!("experiment `{}`", experiment.name), |copy| {
                copy.find_copies(experiment, &mut there)
            })?;
        }
        runs.retain(|run| self.experiments.contains_key(&run.info.experiment_id) && !self.is_original_in(&there, run));
        sort_parents_first(&mut runs);
        Ok(runs)
    }

    /// The same server may have two names. Ids are never equal by chance.
    fn check_other_store(&self, runs: &[RunData]) -> Result<()> {
        let Some(run) = runs.first() else { return Ok(()) };
        match self.to.run(&run.info.run_id) {
            Ok(_) => Err(Error::Invalid(format!(
                "run `{}` is in `{}` and in `{}`. Hint: they are the same store, or one is a copy of the other's file",
                run.info.run_id,
                self.from.uri(),
                self.to.uri()
            ))),
            Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Notes the copies in the target's experiment of the same name, and adds the ids that are `there`.
    fn find_copies(&mut self, experiment: &Experiment, there: &mut HashSet<String>) -> Result<()> {
        let twin = self.find_experiment(experiment)?;
        for copy in twin.as_deref().map_or_else(|| Ok(Vec::new()), |id| all_runs(self.to, id))? {
            if let Some(original) = copy.tags.get(LOCAL_ID_TAG) {
                let copied = copy.tags.get(COPIED_TAG).cloned();
                let twin = Twin { run_id: copy.info.run_id.clone(), copied, tags: copy.tags.clone() };
                self.runs.insert(original.clone(), twin);
            }
            there.insert(copy.info.run_id);
        }
        self.experiments.insert(experiment.experiment_id.clone(), twin);
        Ok(())
    }

    /// A run that is itself a copy, of one in the target: there is nothing to copy, and its nested runs hang below that.
    fn is_original_in(&mut self, there: &HashSet<String>, run: &RunData) -> bool {
        let Some(original) = run.tags.get(LOCAL_ID_TAG).filter(|id| there.contains(*id)) else { return false };
        let twin = Twin { run_id: original.clone(), copied: None, tags: BTreeMap::new() };
        self.runs.insert(run.info.run_id.clone(), twin);
        self.report.unchanged_runs += 1;
        true
    }

    fn find_experiments(&self, options: &CopyOptions) -> Result<Vec<Experiment>> {
        let mut all = self.from.experiments(ViewType::ActiveOnly)?;
        all.reverse();
        for name in &options.experiments {
            if !all.iter().any(|experiment| experiment.name == *name) {
                let names: Vec<&str> = all.iter().map(|experiment| experiment.name.as_str()).collect();
                return Err(Error::NotFound(format!(
                    "no experiment `{name}` in `{}`. Hint: there are {}",
                    self.from.uri(),
                    names.join(", ")
                )));
            }
        }
        let wanted =
            |experiment: &Experiment| options.experiments.is_empty() || options.experiments.contains(&experiment.name);
        Ok(all.into_iter().filter(wanted).collect())
    }

    /// The experiment of the same name in the target; made, but for a dry run.
    fn find_experiment(&self, experiment: &Experiment) -> Result<Option<String>> {
        if self.dry_run {
            return existing_experiment(self.to, &experiment.name);
        }
        let id = experiment_id(self.to, &experiment.name)?;
        let known = self.to.experiment(&id)?.tags;
        for (key, value) in experiment.tags.iter().filter(|(key, value)| known.get(*key) != Some(*value)) {
            self.to.set_experiment_tag(&id, key, value)?;
        }
        Ok(Some(id))
    }

    fn run(&mut self, run: &RunData) -> Result<()> {
        // A search on a server of MLflow 3.1 leaves out which models a run has made.
        let read = if self.from.is_remote() { Some(self.from.run(&run.info.run_id)?) } else { None };
        let run = read.as_ref().unwrap_or(run);
        let whole = self.look_at(run)?;
        let fingerprint = whole.fingerprint(self.tags(run).get(PARENT_TAG));
        let twin = self.runs.get(&run.info.run_id).cloned();
        if twin.as_ref().is_some_and(|twin| twin.copied.as_ref() == Some(&fingerprint)) {
            self.report.unchanged_runs += 1;
            return self.note_models(&whole);
        }
        self.report.runs += 1;
        if self.dry_run {
            self.report.files += whole.artifacts.len();
            self.report.models += whole.models.len();
            self.report.points += self.points(run)?.len();
            return Ok(());
        }
        // A copy that was broken off goes on; one that was complete has changed, and any file may have.
        let goes_on = twin.as_ref().is_some_and(|twin| twin.copied.is_none());
        let twin = match twin {
            Some(twin) => Twin { copied: None, ..twin },
            None => Twin { run_id: self.create(run)?, copied: None, tags: self.tags(run) },
        };
        self.runs.insert(run.info.run_id.clone(), twin.clone());
        let run_id = twin.run_id;
        let problems = self.report.problems.len();
        // First, so that whatever is refused below, the copy does not look as if it were running.
        self.to.update_run(&run_id, run.info.status, run.info.end_time_ms, None)?;
        self.records(run, &run_id, &twin.tags)?;
        self.files(ArtifactsOf::Run(&run.info.run_id), &whole.artifacts, ArtifactsOf::Run(&run_id), goes_on)?;
        self.models(&whole, &run_id)?;
        if self.report.problems.len() > problems {
            return Ok(());
        }
        if !run.model_inputs.is_empty() {
            self.users.push(User { run: run.clone(), twin: run_id, fingerprint });
            return Ok(());
        }
        self.to.log_batch(&run_id, &tags([(COPIED_TAG, &fingerprint)]))
    }

    fn look_at<'r>(&self, run: &'r RunData) -> Result<Whole<'r>> {
        let artifacts = files_below(self.from, ArtifactsOf::Run(&run.info.run_id), "")?;
        let mut models = Vec::new();
        for output in &run.outputs {
            let model = self.from.logged_models()?.get(&output.model_id)?;
            let files = files_below(self.from, ArtifactsOf::Model(&model.model_id), "")?;
            models.push((model, files));
        }
        Ok(Whole { run, artifacts, models })
    }

    fn create(&self, run: &RunData) -> Result<String> {
        let experiment = self.experiments.get(&run.info.experiment_id).cloned().flatten();
        let new = NewRun {
            experiment_id: experiment.unwrap_or_default(),
            name: run.info.name.clone(),
            user: run.info.user.clone(),
            start_time_ms: run.info.start_time_ms,
            tags: self.tags(run),
        };
        Ok(self.to.create_run(&new)?.run_id)
    }

    /// The run's tags as the target shall have them.
    fn tags(&self, run: &RunData) -> BTreeMap<String, String> {
        let mut tags = run.tags.clone();
        tags.remove(COPIED_TAG);
        tags.insert(LOCAL_ID_TAG.into(), run.info.run_id.clone());
        if let Some(parent) = tags.get_mut(PARENT_TAG)
            && let Some(twin) = self.runs.get(parent.as_str())
        {
            parent.clone_from(&twin.run_id);
        }
        tags
    }

    /// `there`: the tags that the copy has. One that the target took with the run may be one that it refuses later.
    fn records(&mut self, run: &RunData, run_id: &str, there: &BTreeMap<String, String>) -> Result<()> {
        let what = format!("run `{}`", run.info.run_id);
        let params = run.params.clone().into_iter().collect();
        let tags = self.tags(run).into_iter().filter(|(key, value)| there.get(key) != Some(value)).collect();
        self.offer(&what, run_id, Batch { params, tags, ..Batch::default() })?;
        if !run.inputs.is_empty() {
            self.refused_is_a_problem(&what, |copy| copy.to.log_inputs(run_id, &run.inputs))?;
        }
        let metrics = self.points(run)?;
        self.report.points += metrics.len();
        self.offer(&what, run_id, Batch { metrics, ..Batch::default() })
    }

    /// Logs a batch. When the target refuses it, once more param by param, tag by tag and metric by metric, so that only
    /// what it is about is missing.
    fn offer(&mut self, what: &str, run_id: &str, batch: Batch) -> Result<()> {
        match self.to.log_batch(run_id, &batch) {
            Err(Error::Invalid(_)) => {}
            answer => return answer,
        }
        let mut parts: Vec<(String, Batch)> = Vec::new();
        for tag in batch.tags {
            parts.push((format!("tag `{}`", tag.0), Batch { tags: vec![tag], ..Batch::default() }));
        }
        for param in batch.params {
            parts.push((format!("param `{}`", param.0), Batch { params: vec![param], ..Batch::default() }));
        }
        for points in batch.metrics.chunk_by(|a, b| a.key == b.key) {
            let part = Batch { metrics: points.to_vec(), ..Batch::default() };
            parts.push((format!("metric `{}`", points[0].key), part));
        }
        for (item, part) in parts {
            self.refused_is_a_problem(&format!("{what}: {item}"), |copy| copy.to.log_batch(run_id, &part))?;
        }
        Ok(())
    }

    /// Every point of every metric.
    fn points(&self, run: &RunData) -> Result<Vec<crate::Metric>> {
        let mut points = Vec::new();
        for key in run.metrics.keys() {
            points.extend(self.from.metric_history(&run.info.run_id, key)?);
        }
        Ok(points)
    }

    /// Copies files one after the other. `goes_on`: those that are there with the same size are not sent again.
    fn files(
        &mut self,
        source: ArtifactsOf<'_>,
        files: &[Artifact],
        target: ArtifactsOf<'_>,
        goes_on: bool,
    ) -> Result<()> {
        let there = if goes_on { files_below(self.to, target, "")? } else { Vec::new() };
        for file in files.iter().filter(|file| !there.contains(file)) {
            let what = format!("artifact `{}` of {source}", file.path);
            self.refused_is_a_problem(&what, |copy| copy.file(source, file, target))?;
        }
        Ok(())
    }

    fn file(&mut self, source: ArtifactsOf<'_>, file: &Artifact, target: ArtifactsOf<'_>) -> Result<()> {
        self.from.get_artifact(source, &file.path, &self.scratch)?;
        let put = self.to.put_artifact(target, &self.scratch, &file.path);
        // The next file takes its place; the last one goes with the folder.
        let _ = std::fs::remove_file(&self.scratch);
        put?;
        self.report.files += 1;
        Ok(())
    }

    /// Copies the models that the run has made.
    fn models(&mut self, whole: &Whole, run_id: &str) -> Result<()> {
        if whole.models.is_empty() {
            return Ok(());
        }
        self.note_models(whole)?;
        let mut outputs = Vec::new();
        for (model, files) in &whole.models {
            let twin = match self.models.get(&model.model_id) {
                Some(twin) => twin.clone(),
                None => self.create_model(whole.run, model, run_id)?,
            };
            self.files(ArtifactsOf::Model(&model.model_id), files, ArtifactsOf::Model(&twin), true)?;
            self.model_points(whole.run, model, run_id, &twin)?;
            if model.status != ModelStatus::Pending {
                self.to.logged_models()?.set_status(&twin, model.status)?;
            }
            let step = whole.run.outputs.iter().find(|output| output.model_id == model.model_id);
            outputs.push(ModelOutput { model_id: twin, step: step.map_or(0, |output| output.step) });
        }
        self.to.logged_models()?.log_outputs(run_id, &outputs)
    }

    /// Copies which models the run has used, and its points that belong to them.
    fn model_inputs(&mut self, User { run, twin, fingerprint }: &User) -> Result<()> {
        let problems = self.report.problems.len();
        self.list_models(&run.info.experiment_id)?;
        for model_id in &run.model_inputs {
            let what = format!("model `{model_id}` that run `{}` uses", run.info.run_id);
            self.refused_is_a_problem(&what, |copy| copy.model_input(run, model_id, twin))?;
        }
        if self.report.problems.len() > problems {
            return Ok(());
        }
        self.to.log_batch(twin, &tags([(COPIED_TAG, fingerprint)]))
    }

    fn model_input(&mut self, run: &RunData, model_id: &str, run_id: &str) -> Result<()> {
        let Some(twin) = self.models.get(model_id).cloned() else {
            return Err(Error::NotFound("it is not copied".into()));
        };
        self.to.logged_models()?.log_model_inputs(run_id, std::slice::from_ref(&twin))?;
        let model = self.from.logged_models()?.get(model_id)?;
        self.model_points(run, &model, run_id, &twin)
    }

    /// Copies the points of a model that a run has measured.
    fn model_points(&self, run: &RunData, model: &LoggedModel, run_id: &str, twin: &str) -> Result<()> {
        for point in model.metrics.iter().filter(|point| point.run_id == run.info.run_id) {
            let metrics = std::slice::from_ref(&point.metric);
            self.to.logged_models()?.log_metrics(run_id, twin, metrics, point.dataset.as_ref())?;
        }
        Ok(())
    }

    fn create_model(&mut self, run: &RunData, model: &LoggedModel, run_id: &str) -> Result<String> {
        let experiment = self.experiments.get(&run.info.experiment_id).cloned().flatten();
        let mut tags = model.tags.clone();
        // The target writes it anew, about its own versions.
        tags.remove("mlflow.modelVersions");
        tags.insert(SOURCE_MODEL_TAG.into(), model.model_id.clone());
        let new = NewLoggedModel {
            experiment_id: experiment.unwrap_or_default(),
            name: model.name.clone(),
            model_type: model.model_type.clone(),
            source_run_id: Some(run_id.to_owned()),
            params: model.params.clone(),
            tags,
        };
        let twin = self.to.logged_models()?.create(&new)?.model_id;
        self.models.insert(model.model_id.clone(), twin.clone());
        self.report.models += 1;
        Ok(twin)
    }

    /// Finds the copies of a run's models in the target.
    fn note_models(&mut self, whole: &Whole) -> Result<()> {
        if whole.models.is_empty() { Ok(()) } else { self.list_models(&whole.run.info.experiment_id) }
    }

    /// Finds the copies of an experiment's models in the target.
    fn list_models(&mut self, experiment_id: &str) -> Result<()> {
        if self.listed.contains(experiment_id) {
            return Ok(());
        }
        let experiment = self.experiments.get(experiment_id).cloned().flatten();
        for model in self.to.logged_models()?.list(&Vec::from_iter(experiment))? {
            if let Some(original) = model.tags.get(SOURCE_MODEL_TAG) {
                self.models.insert(original.clone(), model.model_id);
            }
        }
        self.listed.insert(experiment_id.to_owned());
        Ok(())
    }

    /// Copies a registered model with the versions whose runs or models were copied.
    fn registered(&mut self, name: &str) -> Result<()> {
        let original = self.from.registry().model(name)?;
        let versions = self.from.registry().versions(name)?;
        let known = match self.to.registry().model(name) {
            Ok(_) => self.to.registry().versions(name)?,
            Err(Error::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        for version in &versions {
            let is_twin = |twin: &&ModelVersion| is_copy(twin, version) || is_copy(version, twin);
            let twin = match known.iter().find(is_twin) {
                Some(twin) => Some(twin.version),
                None => self.version(&original, version)?,
            };
            if let Some(twin) = twin.filter(|_| !self.dry_run) {
                self.aliases(version, twin)?;
            }
        }
        Ok(())
    }

    /// Copies a version; gives its number in the target. None in a dry run, and when its source is not copied.
    fn version(&mut self, original: &crate::RegisteredModel, version: &ModelVersion) -> Result<Option<u32>> {
        if self.dry_run {
            self.report.versions += 1;
            return Ok(None);
        }
        let Some(source) = self.source_in_target(version)? else {
            if !self.is_part {
                let ModelVersion { name, version, source, .. } = version;
                self.report
                    .problems
                    .push(format!("version {version} of `{name}`: its source `{source}` is not copied"));
            }
            return Ok(None);
        };
        self.create_registered(original)?;
        let twin = self.create_version(version, source)?;
        self.report.versions += 1;
        Ok(Some(twin))
    }

    /// Sets a version's aliases, but for those that the target has given: they stay where they are.
    fn aliases(&self, version: &ModelVersion, twin: u32) -> Result<()> {
        if version.aliases.is_empty() {
            return Ok(());
        }
        let taken = self.to.registry().model(&version.name)?.aliases;
        let mut free = version.aliases.iter().filter(|alias| !taken.contains_key(*alias));
        free.try_for_each(|alias| self.to.registry().set_alias(&version.name, alias, twin))
    }

    fn create_registered(&self, original: &crate::RegisteredModel) -> Result<()> {
        let new = NewRegisteredModel {
            name: original.name.clone(),
            description: original.description.clone(),
            tags: original.tags.clone(),
        };
        match self.to.registry().create_model(&new) {
            // Made before, or by somebody else: it stays as it is.
            Err(Error::AlreadyExists(_)) => Ok(()),
            created => created.map(drop),
        }
    }

    fn create_version(&self, version: &ModelVersion, (source, run_id, model_id): Source) -> Result<u32> {
        let mut tags = version.tags.clone();
        tags.insert(SOURCE_VERSION_TAG.into(), mark(version));
        let new = NewVersion {
            name: version.name.clone(),
            source,
            run_id,
            model_id,
            description: version.description.clone(),
            tags,
        };
        let twin = self.to.registry().create_version(&new)?.version;
        if version.stage != Stage::None {
            self.to.registry().set_stage(&version.name, twin, version.stage, false)?;
        }
        Ok(twin)
    }

    /// Where a version's files are in the target; none when they were not copied.
    fn source_in_target(&self, version: &ModelVersion) -> Result<Option<Source>> {
        let run = |id: &str| self.runs.get(id).map(|twin| twin.run_id.clone());
        let run_id = version.run_id.as_deref().and_then(run);
        if let Some(model_id) = version.source.strip_prefix("models:/").filter(|id| id.starts_with("m-")) {
            let twin = self.models.get(model_id);
            return Ok(twin.map(|twin| (format!("models:/{twin}"), run_id, Some(twin.clone()))));
        }
        if let Some((id, path)) = version.source.strip_prefix("runs:/").and_then(|rest| rest.split_once('/')) {
            return Ok(run(id).map(|twin| (format!("runs:/{twin}/{path}"), run_id, None)));
        }
        // The place itself: below the artifacts of its run.
        let Some(original) = &version.run_id else { return Ok(None) };
        let root = self.from.run(original)?.info.artifact_uri;
        let path = version.source.strip_prefix(root.as_str()).map(|path| path.trim_matches('/').to_owned());
        Ok(path.zip(run_id).map(|(path, twin)| (format!("runs:/{twin}/{path}"), Some(twin), None)))
    }
}

/// A version's source in the target, with the run and the logged model that it belongs to.
type Source = (String, Option<String>, Option<String>);

/// By what a copy of a version knows its original.
fn mark(version: &ModelVersion) -> String {
    format!("{}@{}", version.version, version.creation_time_ms)
}

fn is_copy(copy: &ModelVersion, original: &ModelVersion) -> bool {
    copy.tags.get(SOURCE_VERSION_TAG) == Some(&mark(original))
}

fn tags<const N: usize>(tags: [(&str, &str); N]) -> Batch {
    Batch { tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into(), ..Batch::default() }
}

/// Every active run of an experiment, oldest first.
fn all_runs(store: &dyn Store, experiment_id: &str) -> Result<Vec<RunData>> {
    let mut query = RunQuery {
        experiment_ids: vec![experiment_id.into()],
        order_by: vec!["attributes.start_time ASC".into()],
        max_results: RUNS_PER_PAGE,
        ..RunQuery::default()
    };
    let mut runs = Vec::new();
    loop {
        let page = store.search_runs(&query)?;
        runs.extend(page.items);
        match page.next_page_token {
            None => return Ok(runs),
            token => query.page_token = token,
        }
    }
}

/// By depth of nesting, else in the order that they have.
fn sort_parents_first(runs: &mut [RunData]) {
    let parents: HashMap<String, String> =
        runs.iter().filter_map(|run| Some((run.info.run_id.clone(), run.tags.get(PARENT_TAG)?.clone()))).collect();
    let depth = |run: &RunData| {
        let mut id = &run.info.run_id;
        // A circle of parents would never end.
        (0..100)
            .take_while(|_| {
                parents.get(id).is_some_and(|parent| {
                    id = parent;
                    true
                })
            })
            .count()
    };
    runs.sort_by_cached_key(depth);
}
