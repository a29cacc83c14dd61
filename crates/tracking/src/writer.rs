//! The threads behind a [`Run`](crate::Run) that write its records; [`crate::uploads`] is the one for its files.
//!
//! Records go from a bounded queue to the store. In front of a server stands a journal on disk: one thread moves records
//! from the queue to the journal, another from the journal to the server. Files wait in the run's folder, and a thread of
//! their own uploads them, so that a big checkpoint holds up no metric. Everybody repeats what fails for a passing reason
//! until it succeeds or the program has exited long enough, and sets aside what the store refuses.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::journal::JournalWriter;
use crate::keys::{clean_key, file_stem};
use crate::queue::Weigh;
use crate::record::{ModelPoint, Record, Upload};
use crate::rules::{
    ERROR_TAG, HEARTBEAT_TAG, LAST_SEEN_TAG, MAX_PARAM_CHARS, MAX_TAG_CHARS, check_active, check_key, now_ms,
    parse_rfc3339, rfc3339, truncate,
};
use crate::shared::{Sent, Shared, lock, pause_after};
use crate::source::Tail;
use crate::spool::{Ticket, log_tail};
use crate::start::make_run;
use crate::{Batch, Error, Metric, Millis, RunStatus};

/// Records in one write.
pub(crate) const BATCH: usize = 1000;
/// How often a run on a server says that it lives; [`crate::sync::end_silent_runs`] looks for it.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// After so many refusals in a row the store may refuse the run, not the records: then there is no bad one to search for.
const REFUSALS_IN_A_ROW: u32 = 20;
/// The end of the log of a run that died.
const LOG_TAIL_FILE: &str = "log_tail.txt";

/// The journal thread: from the queue to the disk, until the queue is closed and empty.
pub(crate) fn write_journal(shared: &Shared, mut journal: JournalWriter) {
    let Some(tail) = &shared.tail else { return };
    while let Some(mut records) = shared.records.take() {
        let bytes = records.iter().map(Weigh::bytes).sum();
        records.retain(|record| !shared.is_doubled(record));
        // The end comes after the uploads: whoever reads it takes them for complete.
        let end: Vec<Record> = records.pop_if(|record| !record.is_logged()).into_iter().collect();
        let (uploads, records): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| matches!(record, Record::Upload(_)));
        if !append(shared, tail, &mut journal, &records) {
            break;
        }
        for record in &uploads {
            if let Record::Upload(upload) = record {
                shared.spool(upload);
            }
        }
        if !append(shared, tail, &mut journal, &end) {
            break;
        }
        shared.records.release(bytes);
        shared.touch();
    }
    tail.close();
}

/// Appends until it succeeds: a full disk is waited for. False when the program has waited long enough.
fn append(shared: &Shared, tail: &Tail, journal: &mut JournalWriter, records: &[Record]) -> bool {
    if records.is_empty() {
        return true;
    }
    let mut tries = 0;
    loop {
        match journal.append(records) {
            Ok(end) => {
                // Before the record thread sees the last of them, and says how many are missing.
                let logged = records.iter().filter(|record| record.is_logged()).count();
                shared.journaled.fetch_add(logged as u64, Ordering::Relaxed);
                tail.advance(end);
                return true;
            }
            Err(error) => {
                shared.report_trouble(&error, tries);
                if !shared.records.pause(pause_after(&error, tries)) {
                    return false;
                }
                tries += 1;
            }
        }
    }
}

/// The record thread: makes the run if it is not there, writes records, then how the run ended.
pub(crate) fn write_records(shared: &Shared, ticket: Option<&Ticket>) {
    if ticket.is_none_or(|ticket| is_there(shared, ticket)) {
        Writer { shared, refusals: 0, heartbeat: Instant::now() }.write_all();
    }
    shared.uploads.close();
}

/// Whether the run is in the store; it is made when it is not.
fn is_there(shared: &Shared, ticket: &Ticket) -> bool {
    if shared.run_id.get().is_some() {
        return !shared.tail.as_ref().is_some_and(Tail::is_of_leftovers) || is_still_there(shared);
    }
    let Some(folder) = &shared.folder else { return false };
    let spool_dir = folder.path().parent().unwrap_or(folder.path());
    match shared.send(&|| make_run(shared.store.as_ref(), spool_dir, ticket)) {
        Sent::Done(run_id) => {
            tracing::info!("tracking: run {} is run {run_id} on `{}`", ticket.id, shared.store.uri());
            // Without the note it is found again by its tag.
            if let Err(error) = folder.save(&Ticket { run_id: Some(run_id.clone()), ..ticket.clone() }) {
                tracing::debug!("{error}");
            }
            let _ = shared.run_id.set(run_id);
            shared.uploads.ring();
            true
        }
        Sent::Refused(error) => {
            tracing::warn!("tracking: `{}` refuses run {}: {error}", shared.store.uri(), ticket.id);
            *lock(&shared.problem) = Some(error.to_string());
            *lock(&shared.failed) = Some(error);
            false
        }
        Sent::Abandoned => false,
    }
}

/// What a run has left is kept when its store does not know it any more: the store may be another one, or an older copy.
fn is_still_there(shared: &Shared) -> bool {
    match shared.send(&|| shared.store.run(shared.run_id())) {
        Sent::Done(_) => true,
        Sent::Refused(error) => {
            let hint = "Hint: if the run is not missed, delete this folder";
            *lock(&shared.failed) = Some(Error::NotFound(format!("{error}. {hint}")));
            false
        }
        Sent::Abandoned => false,
    }
}

/// Whether records are the program's own, or notes of this module.
#[derive(Clone, Copy, PartialEq)]
enum Counted {
    Yes,
    No,
}

struct Writer<'a> {
    shared: &'a Shared,
    /// In a row.
    refusals: u32,
    heartbeat: Instant,
}

impl Writer<'_> {
    fn write_all(&mut self) {
        let (shared, source) = (self.shared, self.shared.source());
        let mut failures = 0;
        loop {
            let records = match source.take() {
                Ok(Some(records)) => {
                    failures = 0;
                    Arc::new(records)
                }
                Ok(None) => {
                    // Whoever stored the end of the run was killed before the folder was gone.
                    let was_stored = shared.tail.as_ref().is_some_and(Tail::was_stored);
                    return shared.end_settled.store(was_stored, Ordering::Release);
                }
                // The program has perhaps too many open files for a moment.
                Err(error) if shared.tail.as_ref().is_some_and(|tail| !tail.is_closed()) => {
                    shared.report_trouble(&error, failures);
                    source.pause(pause_after(&error, failures));
                    failures += 1;
                    self.beat();
                    continue;
                }
                Err(error) => {
                    shared.report_trouble(&error, 0);
                    *lock(&shared.failed) = Some(error);
                    return;
                }
            };
            *lock(&shared.in_hand) = Arc::clone(&records);
            self.write(&records);
            self.write_notes();
            let last = records.last().filter(|last| !last.is_logged());
            if let Some(end) = last {
                self.write_end(end);
            }
            if source.is_abandoned() {
                return;
            }
            *lock(&shared.in_hand) = Arc::default();
            if let Err(error) = source.done(records.iter().map(Weigh::bytes).sum()) {
                // Then the same records are perhaps sent once more later, which does no harm.
                tracing::debug!("{error}");
            }
            if last.is_some() {
                return;
            }
            self.beat();
        }
    }

    /// A sign of life, for this machine and, on a server, for others.
    fn beat(&mut self) {
        let shared = self.shared;
        shared.touch();
        // What a dead run has left is no sign of life.
        let is_dead = shared.tail.as_ref().is_some_and(Tail::is_of_leftovers);
        if !shared.store.is_remote() || is_dead || self.heartbeat.elapsed() < HEARTBEAT {
            return;
        }
        self.heartbeat = Instant::now();
        self.write_tags(vec![(HEARTBEAT_TAG.into(), rfc3339(now_ms()))]);
        if shared.was_away.swap(false, Ordering::Relaxed) {
            // What was said about its death is not true.
            if shared.store.delete_tag(shared.run_id(), LAST_SEEN_TAG).is_ok() {
                let _ = shared.store.delete_tag(shared.run_id(), ERROR_TAG);
            }
            // A refusal is met again, and said, when the run ends.
            let _ = shared.send(&|| shared.store.update_run(shared.run_id(), RunStatus::Running, None, None));
        }
    }

    fn write(&mut self, records: &[Record]) {
        let mut batch = Batch::default();
        for record in records {
            match record {
                Record::Input(_) => self.write_input(record),
                Record::ModelInput(model_id) => self.write_model_input(model_id),
                Record::ModelPoint(_) => {}
                Record::Upload(upload) => self.shared.spool(upload),
                // With a journal it is out already.
                record if self.shared.is_doubled(record) => {}
                record => self.adjust(record, &mut batch),
            }
        }
        self.write_batch(batch, Counted::Yes);
        let points = records.iter().filter_map(|record| match record {
            Record::ModelPoint(point) => Some(point.as_ref()),
            _ => None,
        });
        let points: Vec<&ModelPoint> = points.collect();
        for group in points.chunk_by(|a, b| a.model_id == b.model_id && a.dataset == b.dataset) {
            self.write_model_points(group);
        }
    }

    fn write_model_input(&mut self, model_id: &str) {
        let shared = self.shared;
        let inputs = [model_id.to_owned()];
        let log = || shared.of_mlflow(shared.store.logged_models()?.log_model_inputs(shared.run_id(), &inputs));
        match shared.send(&log) {
            Sent::Done(()) => shared.count_written(1),
            Sent::Refused(reason) => shared.set_aside("model_input", model_id, &reason),
            Sent::Abandoned => {}
        }
    }

    /// Writes points of one model on one data set; as points of the run only, where there is no such model.
    fn write_model_points(&mut self, points: &[&ModelPoint]) {
        let shared = self.shared;
        let ModelPoint { model_id, dataset, .. } = points[0];
        let metrics: Vec<Metric> = points.iter().map(|point| self.adjust_metric(&point.metric)).collect();
        let log = || {
            let models = shared.store.logged_models()?;
            shared.of_mlflow(models.log_metrics(shared.run_id(), model_id, &metrics, dataset.as_ref()))
        };
        match shared.send(&log) {
            Sent::Done(()) => shared.count_written(metrics.len()),
            Sent::Refused(reason) => {
                shared.note(&format!("metrics_without_model.{model_id}"), reason.to_string());
                self.write_batch(Batch { metrics, ..Batch::default() }, Counted::Yes);
            }
            Sent::Abandoned => {}
        }
    }

    fn write_input(&mut self, record: &Record) {
        let Record::Input(input) = record else { return };
        let shared = self.shared;
        let inputs = std::slice::from_ref(input.as_ref());
        let log = || shared.of_mlflow(shared.store.log_inputs(shared.run_id(), inputs));
        match shared.send(&log) {
            Sent::Done(()) => shared.count_written(1),
            Sent::Refused(reason) => shared.set_aside("input", &input.dataset.name, &reason),
            Sent::Abandoned => {}
        }
    }

    /// Writes a batch; halves what is refused until the bad items are found.
    fn write_batch(&mut self, batch: Batch, counted: Counted) {
        if batch.is_empty() {
            return;
        }
        let shared = self.shared;
        match shared.send(&|| shared.store.log_batch(shared.run_id(), &batch)) {
            Sent::Done(()) => {
                self.refusals = 0;
                if counted == Counted::Yes {
                    shared.count_written(batch.len());
                }
            }
            Sent::Refused(reason) if batch.len() == 1 || self.run_is_refused() => {
                self.refusals += 1;
                for (what, key) in labels(&batch).into_iter().filter(|_| counted == Counted::Yes) {
                    shared.set_aside(what, key, &reason);
                }
            }
            Sent::Refused(_) => {
                let (head, tail) = halves(batch);
                self.write_batch(head, counted);
                self.write_batch(tail, counted);
            }
            Sent::Abandoned => {}
        }
    }

    /// After many refusals in a row: whether the run is gone or deleted. If not, the search for bad records goes on.
    fn run_is_refused(&mut self) -> bool {
        if self.refusals < REFUSALS_IN_A_ROW {
            return false;
        }
        let shared = self.shared;
        let look = || check_active("run", shared.run_id(), shared.store.run(shared.run_id())?.info.lifecycle);
        let refused = matches!(shared.send(&look), Sent::Refused(_));
        if !refused {
            self.refusals = 0;
        }
        refused
    }

    /// Notes are extra: they are not counted, and one that is refused is not noted again.
    fn write_notes(&mut self) {
        let notes = std::mem::take(&mut lock(&self.shared.notes).to_write);
        self.write_tags(notes);
    }

    fn write_tags(&mut self, tags: Vec<(String, String)>) {
        self.write_batch(Batch { tags, ..Batch::default() }, Counted::No);
    }

    fn write_end(&mut self, end: &Record) {
        let shared = self.shared;
        let (Record::End(status, time_ms) | Record::Died(status, time_ms)) = *end else { return };
        let has_died = matches!(end, Record::Died(..)) && self.has_died(time_ms);
        if has_died {
            self.report_death(time_ms);
        }
        // Only now: what was among the last records may have become a file.
        shared.uploads.close();
        let waiting = || !shared.uploads_done.load(Ordering::Acquire) && !shared.uploads.is_abandoned();
        while waiting() && !shared.source().is_abandoned() {
            std::thread::sleep(Duration::from_millis(5));
            self.beat();
        }
        let counts = shared.counts();
        for (key, count) in [("set_aside", counts.set_aside), ("dropped", counts.dropped)] {
            if count > 0 {
                shared.note(&format!("records_{key}"), count.to_string());
            }
        }
        self.write_notes();
        let update = || match end {
            // Somebody else has ended the run.
            Record::Died(..) if !has_died => Ok(()),
            _ => shared.store.update_run(shared.run_id(), status, Some(time_ms), None),
        };
        let sent = shared.send(&update);
        shared.ended.store(matches!(sent, Sent::Done(())), Ordering::Release);
        shared.end_settled.store(!matches!(sent, Sent::Abandoned), Ordering::Release);
        if shared.store.is_remote() && matches!(sent, Sent::Done(())) {
            // A run that has ended has no heart. A tag that stays does no harm.
            let _ = shared.store.delete_tag(shared.run_id(), HEARTBEAT_TAG);
        }
        if let Sent::Refused(error) = sent {
            shared.report_trouble(&error, 0);
        }
    }

    /// Whether nobody has ended the run in the store, or gone on with it somewhere else.
    fn has_died(&self, last_seen_ms: Millis) -> bool {
        let shared = self.shared;
        let look = || {
            let run = shared.store.run(shared.run_id())?;
            let heartbeat = run.tags.get(HEARTBEAT_TAG).and_then(|time| parse_rfc3339(time));
            let lives = heartbeat.is_some_and(|time_ms| time_ms > last_seen_ms + 2 * HEARTBEAT.as_millis() as Millis);
            Ok(run.info.status == RunStatus::Running && !lives)
        };
        matches!(shared.send(&look), Sent::Done(true))
    }

    /// Says on the run what is known about the death of its process.
    fn report_death(&mut self, last_seen_ms: Millis) {
        let Some(folder) = &self.shared.folder else { return };
        let ticket = folder.ticket().ok();
        let process = ticket.as_ref().map_or("?".into(), |ticket| ticket.process_id.to_string());
        let last_seen = rfc3339(last_seen_ms);
        let reason = folder.panic().unwrap_or_else(|| {
            format!("process {process} ended without a word (killed, or a power cut); last seen {last_seen}")
        });
        self.write_tags(vec![(ERROR_TAG.into(), reason), (LAST_SEEN_TAG.into(), last_seen)]);
        let log_file = ticket.and_then(|ticket| ticket.log_file);
        if let Some(text) = log_file.and_then(|file| log_tail(&file).ok()) {
            self.shared.spool_extra(&Upload::Text { text, artifact_path: LOG_TAIL_FILE.into() });
        }
    }

    /// Adds a record to a batch in a form that MLflow neither refuses nor cuts, and leaves a note about what was changed.
    fn adjust(&self, record: &Record, batch: &mut Batch) {
        match record {
            Record::Metric(metric) => {
                batch.metrics.push(self.adjust_metric(metric));
            }
            Record::Param(key, value) => {
                let key = self.adjust_key("param", key.clone());
                let value = self.adjust_value("params", &key, value.clone(), MAX_PARAM_CHARS);
                batch.params.push((key, value));
            }
            Record::Tag(key, value) => {
                let key = self.adjust_key("tag", key.clone());
                let value = self.adjust_value("tags", &key, value.clone(), MAX_TAG_CHARS);
                batch.tags.push((key, value));
            }
            Record::Input(_)
            | Record::ModelInput(_)
            | Record::ModelPoint(_)
            | Record::Upload(_)
            | Record::End(..)
            | Record::Died(..) => {}
        }
    }

    fn adjust_metric(&self, metric: &Metric) -> Metric {
        let mut metric = metric.clone();
        metric.key = self.adjust_key("metric", metric.key);
        metric.timestamp_ms = metric.timestamp_ms.max(0);
        if !metric.value.is_finite() {
            let value = format!("{} at step {}", metric.value, metric.step);
            self.shared.note(&format!("not_finite.{}", metric.key), value);
        }
        metric
    }

    fn adjust_key(&self, what: &str, key: String) -> String {
        if check_key(what, &key).is_ok() {
            return key;
        }
        let clean = clean_key(&key);
        self.shared.note(&format!("renamed.{what}.{clean}"), key);
        clean
    }

    fn adjust_value(&self, folder: &str, key: &str, value: String, max_chars: usize) -> String {
        // PostgreSQL refuses the character 0, and no reader misses it.
        let value = if value.contains('\0') { value.replace('\0', "\u{fffd}") } else { value };
        let short = truncate(&value, max_chars);
        if short.len() == value.len() {
            return value;
        }
        let short = short.to_string();
        let artifact_path = format!("{folder}/{}.txt", file_stem(key));
        self.shared.note(&format!("truncated.{folder}.{key}"), format!("full value: {artifact_path}"));
        self.shared.spool_extra(&Upload::Text { text: value, artifact_path });
        short
    }
}

/// What each item is and its key, for messages.
fn labels(batch: &Batch) -> Vec<(&'static str, &str)> {
    let metrics = batch.metrics.iter().map(|metric| ("metric", metric.key.as_str()));
    let params = batch.params.iter().map(|(key, _)| ("param", key.as_str()));
    metrics.chain(params).chain(batch.tags.iter().map(|(key, _)| ("tag", key.as_str()))).collect()
}

/// Two batches of about the same size.
fn halves(mut batch: Batch) -> (Batch, Batch) {
    let mut to_move = batch.len() / 2;
    // From the back of each list, tags first.
    let tags = batch.tags.split_off(batch.tags.len().saturating_sub(to_move));
    to_move -= tags.len();
    let params = batch.params.split_off(batch.params.len().saturating_sub(to_move));
    to_move -= params.len();
    let metrics = batch.metrics.split_off(batch.metrics.len() - to_move);
    (batch, Batch { metrics, params, tags })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_keep_every_item() {
        let pair = |key: usize| (key.to_string(), String::new());
        for (metrics, params, tags) in [(2, 0, 0), (0, 1, 1), (3, 2, 4), (1, 0, 9), (9, 1, 0)] {
            let metric = |step| crate::Metric { key: "m".into(), value: 0.0, timestamp_ms: 0, step };
            let batch = Batch {
                metrics: (0..metrics).map(metric).collect(),
                params: (0..params).map(pair).collect(),
                tags: (0..tags).map(pair).collect(),
            };
            let (mut head, tail) = halves(batch.clone());
            assert!(head.len().abs_diff(tail.len()) <= 1);
            head.metrics.extend(tail.metrics);
            head.params.extend(tail.params);
            head.tags.extend(tail.tags);
            assert_eq!(head, batch);
        }
    }
}
