//! A queue with bounded memory between the program and a writer thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long [`Queue::take`] waits for items before it gives none: its caller has a heart to beat.
const IDLE: Duration = Duration::from_secs(1);
/// How long a push waits for room, once per time that the queue fills up.
const FULL_WAIT: Duration = Duration::from_millis(10);
/// Longest pause between two tries while the program waits to exit.
pub(crate) const CLOSING_PAUSE: Duration = Duration::from_millis(250);

/// What can be queued: it knows roughly how many bytes it holds.
pub(crate) trait Weigh {
    fn bytes(&self) -> usize;
}

/// Pushing costs a lock and an append: the writer looks every `linger` and is woken early only by a batch or a full queue.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    max_bytes: usize,
    /// So many waiting items wake the writer early.
    batch: usize,
    /// How long items are collected before they are taken.
    linger: Duration,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Of all items that are waiting or being written.
    bytes: usize,
    accepted: u64,
    dropped: u64,
    /// A push has found no room, and none was made since.
    full: bool,
    closed: bool,
    abandoned: bool,
}

impl<T: Weigh> Queue<T> {
    pub(crate) fn new(max_bytes: usize, batch: usize, linger: Duration) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            accepted: 0,
            dropped: 0,
            full: false,
            closed: false,
            abandoned: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), max_bytes, batch, linger }
    }

    /// A panic while the lock is held leaves whole items only, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends items. Without room it waits at most [`FULL_WAIT`], then drops and counts.
    pub(crate) fn push(&self, items: impl Iterator<Item = T>) {
        let mut state = self.lock();
        for item in items {
            let bytes = item.bytes();
            // One item that is larger than the queue passes alone.
            let has_room = |state: &State<T>| state.bytes == 0 || state.bytes + bytes <= self.max_bytes;
            if !has_room(&state) && !state.full && !state.closed {
                state.full = true;
                self.changed.notify_all();
                let wait = self.changed.wait_timeout_while(state, FULL_WAIT, |state| !has_room(state) && !state.closed);
                state = wait.unwrap_or_else(PoisonError::into_inner).0;
            }
            state.full = !has_room(&state);
            if state.full || state.closed {
                state.dropped += 1;
                continue;
            }
            state.bytes += bytes;
            state.accepted += 1;
            state.waiting.push_back(item);
            if state.waiting.len() == self.batch {
                self.changed.notify_all();
            }
        }
    }

    /// Up to a batch of items, after waiting for company; none after a second without any. `None` once closed and empty,
    /// or abandoned.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        let mut state = self.lock();
        let idle_until = Instant::now() + IDLE;
        loop {
            let collecting = |state: &mut State<T>| {
                state.waiting.len() < self.batch && !state.full && !state.closed && !state.abandoned
            };
            let wait = self.changed.wait_timeout_while(state, self.linger, collecting);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
            if state.abandoned || (state.closed && state.waiting.is_empty()) {
                return None;
            }
            if !state.waiting.is_empty() || Instant::now() >= idle_until {
                let count = state.waiting.len().min(self.batch);
                return Some(state.waiting.drain(..count).collect());
            }
        }
    }

    /// Makes room: so many bytes of taken items are dealt with.
    pub(crate) fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        if state.full {
            state.full = false;
            self.changed.notify_all();
        }
    }

    /// Waits before a new try. False when there shall be none.
    pub(crate) fn pause(&self, wait: Duration) -> bool {
        let state = self.lock();
        let was_closed = state.closed;
        let wait = if was_closed { wait.min(CLOSING_PAUSE) } else { wait };
        // A close cuts the pause short: the program wants to exit, so the next try is now.
        let go_on = |state: &mut State<T>| !state.abandoned && state.closed == was_closed;
        let wait = self.changed.wait_timeout_while(state, wait, go_on);
        !wait.unwrap_or_else(PoisonError::into_inner).0.abandoned
    }

    /// Appends a last item, room or not, accepts nothing more, and hurries the writer. Only the first call counts.
    pub(crate) fn close_with(&self, last: T) {
        let mut state = self.lock();
        if !state.closed {
            state.bytes += last.bytes();
            state.waiting.push_back(last);
            state.closed = true;
        }
        self.changed.notify_all();
    }

    /// Takes everything that waits, to save it elsewhere.
    pub(crate) fn drain(&self) -> Vec<T> {
        self.lock().waiting.drain(..).collect()
    }

    /// Tells the writer to stop at the next opportunity.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// `(accepted, dropped)` so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.accepted, state.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(100);

    impl Weigh for u8 {
        fn bytes(&self) -> usize {
            1
        }
    }

    #[test]
    fn a_full_queue_waits_once_then_drops_and_counts() {
        let queue: Queue<u8> = Queue::new(10, 100, LINGER);
        let start = Instant::now();
        queue.push(0..200);
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert_eq!(queue.counts(), (10, 190));
        let taken = queue.take().expect("items");
        assert_eq!(taken, (0..10).collect::<Vec<u8>>());
        queue.push(0..1);
        assert_eq!(queue.counts(), (10, 191), "items that are being written still hold their room");
        queue.release(10);
        queue.push(0..5);
        assert_eq!(queue.counts(), (15, 191));
    }

    #[test]
    fn a_full_queue_does_not_wait_for_company() {
        let queue: Queue<u8> = Queue::new(10, 100, LINGER);
        queue.push(0..11);
        let start = Instant::now();
        assert_eq!(queue.take().map(|items| items.len()), Some(10));
        assert!(start.elapsed() < LINGER / 2, "{:?}", start.elapsed());
    }

    /// Accepted items of 200 that are pushed into a queue for 10 while a writer takes them.
    fn accepted_beside_a_writer() -> u64 {
        let queue: Queue<u8> = Queue::new(10, 100, LINGER);
        let write = || {
            while let Some(items) = queue.take() {
                queue.release(items.len());
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(write);
            queue.push((0..200).map(|_| 0));
            queue.close_with(0);
        });
        queue.counts().0
    }

    #[test]
    fn a_full_queue_wakes_the_writer_and_is_woken_by_it() {
        // More than once: on a busy machine the writer may miss the few milliseconds that a push waits.
        assert!((0..20).any(|_| accepted_beside_a_writer() > 30));
    }

    #[test]
    fn a_closed_queue_gives_the_rest_and_ends() {
        let queue: Queue<u8> = Queue::new(100, 4, LINGER);
        queue.push(0..6);
        queue.close_with(9);
        queue.push(0..1);
        assert_eq!(queue.take().map(|items| items.len()), Some(4));
        assert_eq!(queue.take(), Some(vec![4, 5, 9]));
        assert_eq!((queue.take(), queue.counts()), (None, (6, 1)));
    }
}
