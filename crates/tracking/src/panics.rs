//! What a panic said, kept for the runs that it may end.

use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};

use crate::shared::lock;
use crate::spool::note_panic;

/// Folders of the runs that this process is writing.
static OPEN_RUNS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// The last panic of any thread.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the words of every panic, of whatever thread, with the open runs of this process: a run that ends by it, or whose
/// process ends by it, is `FAILED` with these words as tag `error`. The hook that was there before is called after it.
pub fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            keep(info);
            before(info);
        }));
    });
}

fn keep(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let text = info.payload_as_str().unwrap_or("(no text)");
    let message = format!("thread `{}` panicked{place}: {text}", thread.name().unwrap_or("unnamed"));
    // A lock that is held by the panicking thread itself must not stop the panic.
    if let Ok(runs) = OPEN_RUNS.try_lock() {
        runs.iter().for_each(|folder| note_panic(folder, &message));
    }
    if let Ok(mut last) = LAST.try_lock() {
        *last = Some(message);
    }
}

/// What the last panic said, when the hook is installed.
pub(crate) fn last() -> Option<String> {
    lock(&LAST).clone()
}

pub(crate) fn run_opened(folder: &Path) {
    lock(&OPEN_RUNS).push(folder.into());
}

pub(crate) fn run_closed(folder: &Path) {
    lock(&OPEN_RUNS).retain(|open| open != folder);
}
