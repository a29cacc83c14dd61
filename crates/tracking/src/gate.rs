//! How threads that work from a disk are woken, hurried and stopped.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::queue::CLOSING_PAUSE;

/// The state that a queue has, without the items.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How often there was news.
    rings: u64,
    closed: bool,
    abandoned: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// There is something to do.
    pub(crate) fn ring(&self) {
        self.change(|state| state.rings += 1);
    }

    /// There will be nothing more to do: end when all is done, and hurry.
    pub(crate) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    /// Stop at the next opportunity.
    pub(crate) fn abandon(&self) {
        self.change(|state| state.abandoned = true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The number of rings so far, for [`Gate::wait`].
    pub(crate) fn rings(&self) -> u64 {
        self.lock().rings
    }

    /// Waits until there were more rings than `seen`, the gate is closed or abandoned, or the time is up.
    pub(crate) fn wait(&self, seen: u64, at_most: Duration) {
        let quiet = |state: &mut State| state.rings == seen && !state.closed && !state.abandoned;
        drop(self.changed.wait_timeout_while(self.lock(), at_most, quiet));
    }

    /// Waits before a new try. False when there shall be none.
    pub(crate) fn pause(&self, wait: Duration) -> bool {
        let state = self.lock();
        let was_closed = state.closed;
        let wait = if was_closed { wait.min(CLOSING_PAUSE) } else { wait };
        // A close cuts the pause short: the program wants to exit, so the next try is now.
        let go_on = |state: &mut State| !state.abandoned && state.closed == was_closed;
        let waited = self.changed.wait_timeout_while(state, wait, go_on);
        !waited.unwrap_or_else(PoisonError::into_inner).0.abandoned
    }
}
