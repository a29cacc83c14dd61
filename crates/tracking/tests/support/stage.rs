//! What tests with a real server share: the server, a proxy in front of it, and child processes.
#![allow(dead_code, reason = "each test binary uses a part of it")]

#[path = "proxy.rs"]
pub mod proxy;
#[path = "server.rs"]
pub mod server;

use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use proxy::Proxy;
use server::Server;
use tracking::{
    Artifact, ArtifactsOf, Error, HttpOptions, Options, RestStore, Run, RunData, RunOptions, RunQuery, Store, Tracker,
    ViewType,
};

/// A server without faults and a proxy in front of it.
pub struct Stage {
    pub proxy: Proxy,
    pub server: &'static Server,
    /// The server without the proxy.
    pub store: RestStore,
}

impl Stage {
    /// `None` without `MLFLOW_PYTHON`.
    pub fn new() -> Option<Self> {
        let server = Server::shared()?;
        let store = RestStore::new(&server.uri, &HttpOptions::default()).unwrap();
        Some(Self { proxy: Proxy::start(&server.uri), server, store })
    }

    /// Through the proxy.
    pub fn tracker(&self) -> Tracker {
        self.tracker_that_waits(Duration::from_secs(3))
    }

    /// For a test whose own load makes the server slow.
    pub fn tracker_that_waits(&self, timeout: Duration) -> Tracker {
        let http = HttpOptions { timeout, ..HttpOptions::default() };
        let (spool_dir, exit_timeout) = (self.server.folder.join("spool"), Duration::from_secs(30));
        Tracker::open(&Options { uri: self.proxy.uri(), http, spool_dir, exit_timeout, ..Options::default() }).unwrap()
    }

    /// Through the proxy.
    pub fn start(&self, experiment: &str) -> Run {
        self.tracker().start_run(&RunOptions { experiment: experiment.into(), ..RunOptions::default() }).unwrap()
    }

    /// All runs of an experiment.
    pub fn runs(&self, experiment: &str) -> Vec<RunData> {
        let experiment = self.store.experiment_by_name(experiment).unwrap().unwrap();
        let query = RunQuery { experiment_ids: vec![experiment.experiment_id], ..RunQuery::default() };
        self.store.search_runs(&query).unwrap().items
    }

    /// The run that a program knows under this id, which is a local one if it could not be made at once.
    pub fn run(&self, id: &str) -> RunData {
        match self.store.run(id) {
            Err(Error::NotFound(_)) => {
                let experiments = self.store.experiments(ViewType::All).unwrap();
                let query = RunQuery {
                    experiment_ids: experiments.into_iter().map(|experiment| experiment.experiment_id).collect(),
                    filter: format!("tags.`tracking.local_run_id` = '{id}'"),
                    ..RunQuery::default()
                };
                let found = self.store.search_runs(&query).unwrap().items;
                assert_eq!(found.len(), 1, "runs with local id {id}");
                found.into_iter().next().unwrap()
            }
            run => run.unwrap(),
        }
    }

    pub fn steps(&self, id: &str, key: &str) -> Vec<i64> {
        let id = self.run(id).info.run_id;
        self.store.metric_history(&id, key).unwrap().iter().map(|point| point.step).collect()
    }

    pub fn files(&self, id: &str, folder: &str) -> Vec<Artifact> {
        self.store.list_artifacts(ArtifactsOf::Run(&self.run(id).info.run_id), folder).unwrap()
    }
}

pub fn up_to(steps: i64) -> Vec<i64> {
    (0..steps).collect()
}

/// Starts an ignored test of this binary in a process of its own, in a folder for scratch. Its standard input and output
/// are pipes.
pub fn spawn(child: &str, variables: &[(&str, String)]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", child, "--nocapture", "--test-threads=1"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .envs(variables.iter().map(|(key, value)| (*key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child has printed, once it has ended well.
pub fn output_of(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// The number after `name: ` in what a child has printed.
pub fn figure(output: &str, name: &str) -> u64 {
    let line = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no `{name}` in: {output}")).parse().unwrap()
}

/// Of a process (an id or `self`), in kB: `VmRSS` now, `VmHWM` the most so far. None once it has ended.
pub fn memory_kb(process: &str, what: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
