//! Where the record thread takes its batches from: the queue itself, or the journal behind it.

use std::sync::Mutex;
use std::time::Duration;

use crate::Result;
use crate::gate::Gate;
use crate::journal::{JournalReader, Position};
use crate::queue::Queue;
use crate::record::Record;
use crate::shared::lock;

/// How long the tail of a journal is waited for before it gives nothing: its caller has a heart to beat.
const IDLE: Duration = Duration::from_secs(1);

/// Batches of records, each taken once and then said to be dealt with.
pub(crate) trait Source: Send + Sync {
    /// The next records, none after a second without any. `None` once there will be no more, or abandoned.
    fn take(&self) -> Result<Option<Vec<Record>>>;
    /// What was taken, with so many bytes in memory, is stored or set aside.
    fn done(&self, bytes: usize) -> Result<()>;
    /// Waits before a new try. False when there shall be none.
    fn pause(&self, wait: Duration) -> bool;
    /// Tells the record thread to stop at the next opportunity.
    fn abandon(&self);
    /// Whether it shall stop.
    fn is_abandoned(&self) -> bool;
}

impl Source for Queue<Record> {
    fn take(&self) -> Result<Option<Vec<Record>>> {
        Ok(Queue::take(self))
    }

    fn done(&self, bytes: usize) -> Result<()> {
        self.release(bytes);
        Ok(())
    }

    fn pause(&self, wait: Duration) -> bool {
        Queue::pause(self, wait)
    }

    fn abandon(&self) {
        Queue::abandon(self);
    }

    fn is_abandoned(&self) -> bool {
        Queue::is_abandoned(self)
    }
}

/// The reading end of a journal, which another thread is writing, or nobody any more.
pub(crate) struct Tail {
    reader: Mutex<JournalReader>,
    /// The end of what is on the disk.
    end: Mutex<Position>,
    gate: Gate,
    batch: usize,
    is_leftover: bool,
}

impl Tail {
    /// Follows a journal that is being written.
    pub(crate) fn following(reader: JournalReader, end: Position, batch: usize) -> Self {
        Self { reader: Mutex::new(reader), end: Mutex::new(end), gate: Gate::default(), batch, is_leftover: false }
    }

    /// Reads what a dead process has left.
    pub(crate) fn of_leftovers(reader: JournalReader, batch: usize) -> Self {
        let tail = Self { is_leftover: true, ..Self::following(reader, Position::END, batch) };
        tail.gate.close();
        tail
    }

    pub(crate) fn is_of_leftovers(&self) -> bool {
        self.is_leftover
    }

    /// Whether everything was stored before: the end of the run too, which leftovers always have.
    pub(crate) fn was_stored(&self) -> bool {
        self.is_leftover && !self.gate.is_abandoned()
    }

    /// There is more on the disk.
    pub(crate) fn advance(&self, end: Position) {
        *lock(&self.end) = end;
        self.gate.ring();
    }

    /// There will be no more.
    pub(crate) fn close(&self) {
        self.gate.close();
    }

    /// Whether all that will ever come is on the disk.
    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    /// Bytes of torn or damaged records met so far.
    pub(crate) fn discarded_bytes(&self) -> u64 {
        lock(&self.reader).discarded_bytes()
    }
}

impl Source for Tail {
    fn take(&self) -> Result<Option<Vec<Record>>> {
        let (rings, closed) = (self.gate.rings(), self.gate.is_closed());
        let read = || {
            let end = *lock(&self.end);
            lock(&self.reader).read(end, self.batch)
        };
        let mut records = read()?;
        if records.is_empty() && !closed {
            self.gate.wait(rings, IDLE);
            records = read()?;
        }
        let is_over = self.gate.is_abandoned() || (closed && records.is_empty());
        Ok((!is_over).then_some(records))
    }

    fn done(&self, _: usize) -> Result<()> {
        lock(&self.reader).acknowledge()
    }

    fn pause(&self, wait: Duration) -> bool {
        self.gate.pause(wait)
    }

    fn abandon(&self) {
        self.gate.abandon();
    }

    fn is_abandoned(&self) -> bool {
        self.gate.is_abandoned()
    }
}
