//! Where and from what a run was made: source, git, machine, versions.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use sysinfo::System;

use crate::download::hex;

/// The dependency versions that this binary was built with.
const CARGO_LOCK: &str = include_str!("../../../Cargo.lock");

/// The user as MLflow names it.
fn user() -> String {
    let variable = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| env::var(name).ok());
    variable.or_else(|| output_of("id", &["-un"])).unwrap_or_else(|| "unknown".to_owned())
}

/// Tags that every run gets. MLflow's own names where it has one.
pub fn tags(program: &str) -> BTreeMap<String, String> {
    let user = user();
    let mut tags = BTreeMap::from([
        ("mlflow.user".to_owned(), user.clone()),
        ("developer".to_owned(), user),
        ("mlflow.source.name".to_owned(), program.to_owned()),
        ("mlflow.source.type".to_owned(), "LOCAL".to_owned()),
        ("framework".to_owned(), format!("burn {}", locked_version("burn"))),
        ("rustc".to_owned(), env!("APP_RUSTC_VERSION").to_owned()),
        ("app.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("app.profile".to_owned(), if cfg!(debug_assertions) { "dev" } else { "release" }.to_owned()),
        ("app.cargo_lock_sha256".to_owned(), hex(&Sha256::digest(CARGO_LOCK))),
    ]);
    tags.extend(git_tags());
    tags.extend(machine_tags());
    tags
}

/// What the programs are made of: version and commit, `+` if something is not committed.
pub fn code() -> String {
    let tags = git_tags();
    let commit = tags.get("mlflow.source.git.commit").map_or("", String::as_str);
    let is_dirty = tags.get("mlflow.source.git.dirty").is_some_and(|dirty| dirty == "true");
    format!("{} {commit}{}", env!("CARGO_PKG_VERSION"), if is_dirty { "+" } else { "" })
}

/// Commit, branch, whether there are uncommitted changes, and the remote; nothing outside a repository.
fn git_tags() -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return tags };
    tags.insert("mlflow.source.git.commit".to_owned(), commit);
    if let Some(branch) = git(&["rev-parse", "--abbrev-ref", "HEAD"]) {
        tags.insert("mlflow.source.git.branch".to_owned(), branch);
    }
    if let Some(changes) = git(&["status", "--porcelain", "--untracked-files=no"]) {
        tags.insert("mlflow.source.git.dirty".to_owned(), (!changes.is_empty()).to_string());
    }
    if let Some(remote) = git(&["remote", "get-url", "origin"]) {
        tags.insert("mlflow.source.git.repoURL".to_owned(), tracking::redact_url(&remote));
    }
    tags
}

fn git(arguments: &[&str]) -> Option<String> {
    output_of("git", arguments)
}

/// What a command prints, if it is there and succeeds.
fn output_of(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn machine_tags() -> BTreeMap<String, String> {
    let mut system = System::new();
    system.refresh_memory();
    system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    let cpu = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default();
    let gibibytes = system.total_memory() as f64 / f64::from(1 << 30);
    BTreeMap::from([
        ("host.name".to_owned(), System::host_name().unwrap_or_default()),
        ("host.os".to_owned(), System::long_os_version().unwrap_or_default()),
        ("host.cpu".to_owned(), format!("{cpu} x {}", system.cpus().len())),
        ("host.memory".to_owned(), format!("{gibibytes:.1} GiB")),
    ])
}

/// Version of a dependency in this binary's Cargo.lock.
fn locked_version(name: &str) -> &'static str {
    let mut lines = CARGO_LOCK.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    lines.nth(1).and_then(|line| line.strip_prefix("version = ")).map_or("", |version| version.trim_matches('"'))
}

/// Name of the running program.
pub fn program() -> String {
    env::args()
        .next()
        .as_deref()
        .map(Path::new)
        .and_then(Path::file_stem)
        .map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned())
}
