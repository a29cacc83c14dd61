//! One stream worked on by several threads, in bounded memory, with results in order.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// Takes items from `next` until there are no more, works on up to `threads` of them at once, and gives the results to `done`
/// in the order of the items. Stops when `done` says false, and at the first error in that order.
///
/// Each thread does all of its work itself: what would share it out (matrix products) has one thread there.
///
/// # Errors
///
/// Those of the closures, and if no thread can be started.
pub fn in_order<I: Send, O: Send>(
    threads: usize,
    next: impl FnMut() -> Result<Option<I>> + Send,
    work: impl Fn(I) -> Result<O> + Sync,
    done: impl FnMut(O) -> Result<bool> + Send,
) -> Result<()> {
    let source = Mutex::new(Source { next, n_taken: 0, is_over: false });
    let sink =
        Sink { state: Mutex::new(State { done, turn: 0, is_over: false, result: Ok(()) }), changed: Condvar::new() };
    let worker = || -> Result<(), ThreadPoolBuildError> {
        let _over_on_panic = OverOnPanic(&sink);
        let _own_pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?;
        while let Some((place, item)) = lock(&source).take() {
            if !sink.put(place, item.and_then(&work)) {
                break;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    sink.state.into_inner().unwrap_or_else(PoisonError::into_inner).result
}

struct Source<N> {
    next: N,
    n_taken: usize,
    is_over: bool,
}

impl<I, N: FnMut() -> Result<Option<I>>> Source<N> {
    /// The next item with its place, or the error that stands there.
    fn take(&mut self) -> Option<(usize, Result<I>)> {
        if self.is_over {
            return None;
        }
        let item = (self.next)().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        self.n_taken += 1;
        Some((self.n_taken - 1, item?))
    }
}

struct Sink<D> {
    state: Mutex<State<D>>,
    changed: Condvar,
}

struct State<D> {
    done: D,
    /// The place whose result comes next.
    turn: usize,
    is_over: bool,
    result: Result<()>,
}

impl<D> Sink<D> {
    /// Waits for the result's turn. False if there is nothing more to do.
    fn put<O>(&self, place: usize, result: Result<O>) -> bool
    where
        D: FnMut(O) -> Result<bool>,
    {
        let is_early = |state: &mut State<D>| state.turn != place && !state.is_over;
        let mut state = self.changed.wait_while(lock(&self.state), is_early).unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            return false;
        }
        let done = result.and_then(|result| (state.done)(result));
        state.turn += 1;
        state.is_over = !matches!(done, Ok(true));
        state.result = done.map(drop);
        self.changed.notify_all();
        !state.is_over
    }
}

/// The other threads must not wait for a turn that never ends.
struct OverOnPanic<'a, D>(&'a Sink<D>);

impl<D> Drop for OverOnPanic<'_, D> {
    fn drop(&mut self) {
        if thread::panicking() {
            lock(&self.0.state).is_over = true;
            self.0.changed.notify_all();
        }
    }
}

/// Whoever panicked ends the program, or one trial of many; the values are whole all the same.
pub fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(threads: usize, n: usize, bad: Option<usize>, stop_at: usize) -> (Vec<usize>, Result<()>) {
        let (mut next, mut seen) = (0, Vec::new());
        let take = || {
            next += 1;
            Ok((next <= n).then_some(next))
        };
        let work = |item: usize| {
            if item.is_multiple_of(3) {
                thread::yield_now();
            }
            anyhow::ensure!(bad.is_none_or(|bad| item < bad), "item {item}");
            Ok(item * 10)
        };
        let result = in_order(threads, take, work, |result| {
            seen.push(result);
            Ok(seen.len() < stop_at)
        });
        (seen, result)
    }

    #[test]
    fn results_come_in_order_and_stop_at_the_first_error() {
        for threads in [1, 2, 5] {
            let (seen, result) = run(threads, 100, None, usize::MAX);
            assert_eq!(seen, (1..=100).map(|item| item * 10).collect::<Vec<_>>());
            assert!(result.is_ok());

            let (seen, result) = run(threads, 100, Some(41), usize::MAX);
            assert_eq!(seen.len(), 40);
            assert_eq!(result.map_err(|error| error.to_string()), Err("item 41".to_owned()));

            let (seen, result) = run(threads, 100, None, 7);
            assert_eq!((seen.len(), result.is_ok()), (7, true));
        }
    }
}
