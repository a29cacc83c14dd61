//! Who works on a trial.

use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

/// Of this process; a process number may come back, this does not.
static PROCESS: LazyLock<Uuid> = LazyLock::new(Uuid::new_v4);

/// `host:pid:uuid.n`, for the `n`th study that this process has opened.
pub(crate) fn new() -> String {
    static STUDIES: AtomicU32 = AtomicU32::new(1);
    let study = STUDIES.fetch_add(1, Ordering::Relaxed);
    format!("{}:{}:{}.{study}", host(), process::id(), PROCESS.simple())
}

/// Whether a worker was a process of this host that is no more. False in doubt.
pub(crate) fn is_gone(worker: &str) -> bool {
    let mut parts = worker.rsplitn(3, ':');
    let (Some(of), Some(pid), Some(on)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Ok(pid) = pid.parse() else { return false };
    if on != host() {
        return false;
    }
    if pid == process::id() { !of.starts_with(&PROCESS.simple().to_string()) } else { !is_alive(pid) }
}

#[cfg(unix)]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(unix)]
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // A process of another user counts as alive.
    pid.is_none_or(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_alive(_pid: u32) -> bool {
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_host_is_known_to_be_gone() {
        let own = new();
        assert!(!is_gone(&own));
        let (place, _) = own.rsplit_once(':').unwrap();
        assert!(
            is_gone(&format!("{place}:{}.1", Uuid::new_v4().simple())),
            "an earlier process with the number of this one"
        );
        let mut child = process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = format!("{}:{}:{}.1", host(), child.id(), Uuid::new_v4().simple());
        assert!(is_gone(&dead));
        assert!(!is_gone(&format!("other-{dead}")));
        assert!(!is_gone("") && !is_gone("a:b:c"));
    }
}
