//! Making experiments and runs in a store, also long after a run has started.

use std::path::Path;

use crate::rules::{HEARTBEAT_TAG, LOCAL_ID_TAG, PARENT_TAG, now_ms, rfc3339, truncate};
use crate::spool::{Ticket, read_ticket};
use crate::{Error, Lifecycle, NewRun, Result, RunData, RunInfo, RunQuery, Store, ViewType};

/// The id of the experiment with this name, which is made when there is none. Two processes may ask at once.
pub(crate) fn experiment_id(store: &dyn Store, name: &str) -> Result<String> {
    let name = if name.is_empty() { "Default" } else { name };
    let taken = match existing_experiment(store, name)? {
        Some(id) => return Ok(id),
        None => match store.create_experiment(name) {
            Err(Error::AlreadyExists(message)) => message,
            created => return created,
        },
    };
    // Another process was faster, or the server's reply to our own request was lost.
    existing_experiment(store, name)?.ok_or(Error::AlreadyExists(taken))
}

/// The id of the experiment with this name, if there is one. One that is deleted is an error.
pub(crate) fn existing_experiment(store: &dyn Store, name: &str) -> Result<Option<String>> {
    match store.experiment_by_name(name)? {
        Some(found) if found.lifecycle == Lifecycle::Deleted => Err(Error::Invalid(format!(
            "experiment `{name}` is deleted in `{}`. Hint: bring it back with `mlflow experiments restore \
             --experiment-id {}`, or use another name",
            store.uri(),
            found.experiment_id
        ))),
        found => Ok(found.map(|experiment| experiment.experiment_id)),
    }
}

/// The experiment of a ticket: by its id, which must be there, or by its name.
fn experiment_of(store: &dyn Store, ticket: &Ticket) -> Result<String> {
    match &ticket.experiment_id {
        Some(id) => Ok(store.experiment(id)?.experiment_id),
        None => experiment_id(store, &ticket.experiment),
    }
}

/// The run that a ticket is about, made in the store; gives its id there. A run that a lost reply was about is found again.
pub(crate) fn make_run(store: &dyn Store, spool_dir: &Path, ticket: &Ticket) -> Result<String> {
    let experiment_id = experiment_of(store, ticket)?;
    if let Some(run) = find_local(store, vec![experiment_id.clone()], &ticket.id)? {
        return Ok(run.info.run_id);
    }
    let mut new = new_run(ticket, experiment_id);
    mark(&mut new, store, spool_dir, ticket)?;
    Ok(store.create_run(&new)?.run_id)
}

/// Makes the run of a fresh ticket, which no earlier try can have made.
pub(crate) fn make_run_now(store: &dyn Store, spool_dir: &Path, ticket: &Ticket) -> Result<RunInfo> {
    let mut new = new_run(ticket, experiment_of(store, ticket)?);
    mark(&mut new, store, spool_dir, ticket)?;
    store.create_run(&new)
}

/// What makes a run findable when the reply is lost or the process is killed, and its parent the one that the server knows.
fn mark(new: &mut NewRun, store: &dyn Store, spool_dir: &Path, ticket: &Ticket) -> Result<()> {
    new.tags.insert(LOCAL_ID_TAG.into(), ticket.id.clone());
    if store.is_remote() {
        new.tags.insert(HEARTBEAT_TAG.into(), rfc3339(now_ms()));
    }
    if let Some(parent) = new.tags.get_mut(PARENT_TAG) {
        *parent = store_id(store, spool_dir, parent)?;
    }
    Ok(())
}

/// What the store needs to make the run of a ticket.
pub(crate) fn new_run(ticket: &Ticket, experiment_id: String) -> NewRun {
    NewRun {
        experiment_id,
        name: ticket.name.clone(),
        user: ticket.user.clone(),
        start_time_ms: ticket.start_time_ms,
        tags: ticket.tags.clone(),
    }
}

/// The id that a run has in the store, where the program may know it under a local one.
fn store_id(store: &dyn Store, spool_dir: &Path, id: &str) -> Result<String> {
    if let Ok(ticket) = read_ticket(&spool_dir.join(id)) {
        return ticket.run_id.ok_or_else(|| Error::Unavailable {
            message: format!("run `{id}` is not in `{}` yet", store.uri()),
            retry_after_s: None,
        });
    }
    match find_run(store, id) {
        Ok(run) => Ok(run.info.run_id),
        // Somebody else's: it stays as it was given.
        Err(Error::NotFound(_)) => Ok(id.to_owned()),
        Err(error) => Err(error),
    }
}

/// Reads a run by its id in the store or by the local id that it was started under.
pub(crate) fn find_run(store: &dyn Store, id: &str) -> Result<RunData> {
    match store.run(id) {
        Err(Error::NotFound(message)) => {
            let experiments = store.experiments(ViewType::ActiveOnly)?;
            let ids = experiments.into_iter().map(|experiment| experiment.experiment_id).collect();
            find_local(store, ids, id)?.ok_or(Error::NotFound(message))
        }
        answer => answer,
    }
}

fn find_local(store: &dyn Store, experiment_ids: Vec<String>, local_id: &str) -> Result<Option<RunData>> {
    // An id has no quotes; anything else would be another filter.
    if experiment_ids.is_empty() || !local_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Ok(None);
    }
    let query = RunQuery {
        experiment_ids,
        filter: format!("tags.`{LOCAL_ID_TAG}` = '{}'", truncate(local_id, 250)),
        view: ViewType::All,
        max_results: 1,
        ..RunQuery::default()
    };
    Ok(store.search_runs(&query)?.items.pop())
}
