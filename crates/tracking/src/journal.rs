//! An append-only file of records in front of a server: what is in it survives a kill of the process, and with `fsync` a
//! power cut.
//!
//! A journal is a folder of segments `00000001.journal`, `00000002.journal`, ... Each begins with [`MAGIC`], then come
//! frames: the length of a record (4 bytes, little-endian), a CRC-32 over length and record (4 bytes), the record. A
//! process never appends to a segment of another: what a crash has torn at the end of one stays there, and the next
//! segment is sound. The file `sent` holds how far the server has confirmed; when it is lost, records are sent again,
//! which does no harm.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::record::Record;
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"TRKJRNL1";
const FRAME_HEAD: usize = 8;
/// A new segment begins after so many bytes; segments that the server has are deleted.
const SEGMENT_BYTES: u64 = 8 << 20;
/// A read ends behind so many bytes: values may be long, and a thousand of them more than memory.
const READ_BYTES: u64 = 8 << 20;
const EXTENSION: &str = "journal";
const SENT: &str = "sent";

/// A place in a journal, between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    segment: u64,
    offset: u64,
}

impl Position {
    /// Behind everything.
    pub(crate) const END: Self = Self { segment: u64::MAX, offset: u64::MAX };
    /// Before everything.
    pub(crate) const START: Self = Self { segment: 0, offset: 0 };
}

/// Appends one record with its frame.
fn encode_frame(record: &Record, bytes: &mut Vec<u8>) {
    let head = bytes.len();
    bytes.extend([0; FRAME_HEAD]);
    record.encode(bytes);
    let length = ((bytes.len() - head - FRAME_HEAD) as u32).to_le_bytes();
    bytes[head..head + 4].copy_from_slice(&length);
    let checksum = checksum(length, &bytes[head + FRAME_HEAD..]).to_le_bytes();
    bytes[head + 4..head + FRAME_HEAD].copy_from_slice(&checksum);
}

fn checksum(length: [u8; 4], record: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length);
    crc.update(record);
    crc.finalize()
}

/// The next record and its bytes with the frame. `None` at the end, and where the frame is torn or damaged.
fn read_frame(input: &mut impl Read) -> io::Result<Option<(Record, u64)>> {
    let mut head = [0; FRAME_HEAD];
    if !read_full(input, &mut head)? {
        return Ok(None);
    }
    let [length, crc] = [[head[0], head[1], head[2], head[3]], [head[4], head[5], head[6], head[7]]];
    let bytes = u32::from_le_bytes(length) as usize;
    if bytes == 0 {
        return Ok(None);
    }
    // Read before it is reserved: a length that a fault has changed must not claim the memory for it.
    let mut record = Vec::new();
    input.by_ref().take(bytes as u64).read_to_end(&mut record)?;
    if record.len() < bytes || checksum(length, &record) != u32::from_le_bytes(crc) {
        return Ok(None);
    }
    Ok(Record::decode(&record).map(|record| (record, (FRAME_HEAD + bytes) as u64)))
}

/// Fills the buffer; false when the input ends before.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many whole records the bytes of a segment hold and where the last one ends. Any bytes will do: this is the door
/// for the fuzzer.
#[doc(hidden)]
pub fn whole_records(mut segment: &[u8]) -> (usize, usize) {
    let mut magic = [0; MAGIC.len()];
    if !matches!(read_full(&mut segment, &mut magic), Ok(true)) || magic != MAGIC {
        return (0, 0);
    }
    let (mut records, mut end) = (0, MAGIC.len());
    while let Ok(Some((_, bytes))) = read_frame(&mut segment) {
        records += 1;
        end += bytes as usize;
    }
    (records, end)
}

/// The bytes of a record, read and written again; none when they are no record. The other door for the fuzzer.
#[doc(hidden)]
pub fn rewritten_record(record: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    Record::decode(record)?.encode(&mut bytes);
    Some(bytes)
}

/// Numbers of the segments in a folder, ascending.
pub(crate) fn segments(folder: &Path) -> Result<Vec<u64>> {
    let entries = fs::read_dir(folder).map_err(|source| Error::io("read", folder, source))?;
    let number = |entry: fs::DirEntry| {
        let path = entry.path();
        let is_segment = path.extension().is_some_and(|extension| extension == EXTENSION);
        path.file_stem().filter(|_| is_segment)?.to_str()?.parse().ok()
    };
    let mut numbers: Vec<u64> = entries.flatten().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn segment_path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:08}.{EXTENSION}"))
}

/// The appending end of a journal.
pub(crate) struct JournalWriter {
    folder: PathBuf,
    fsync: bool,
    segment: u64,
    file: File,
    /// Where the last whole batch ends.
    end: u64,
    buffer: Vec<u8>,
}

impl JournalWriter {
    /// Begins a new segment in `folder`, after those of earlier processes.
    pub(crate) fn open(folder: &Path, fsync: bool) -> Result<Self> {
        let segment = segments(folder)?.last().map_or(1, |last| last + 1);
        let file = create_segment(folder, segment, fsync)?;
        Ok(Self { folder: folder.into(), fsync, segment, file, end: MAGIC.len() as u64, buffer: Vec::new() })
    }

    /// Appends records, all or none, and returns once they are on the disk (without `fsync`: with the system).
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<Position> {
        if self.end >= SEGMENT_BYTES {
            self.file = create_segment(&self.folder, self.segment + 1, self.fsync)?;
            self.segment += 1;
            self.end = MAGIC.len() as u64;
        }
        self.buffer.clear();
        records.iter().for_each(|record| encode_frame(record, &mut self.buffer));
        self.write_buffer().map_err(|source| {
            // What came through of it would stand between the records before and those after it.
            let _ = self.file.set_len(self.end);
            Error::io("write", &segment_path(&self.folder, self.segment), source)
        })?;
        self.end += self.buffer.len() as u64;
        Ok(self.position())
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        // Also after a failure whose remains could not be cut off: they are written over.
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&self.buffer)?;
        if self.fsync { self.file.sync_data() } else { Ok(()) }
    }

    /// Behind the last record.
    pub(crate) fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.end }
    }
}

fn create_segment(folder: &Path, segment: u64, fsync: bool) -> Result<File> {
    let path = segment_path(folder, segment);
    // Over what an earlier try without room has left.
    let create = || {
        let mut file = File::create(&path)?;
        file.write_all(&MAGIC)?;
        if fsync {
            file.sync_all()?;
            sync(folder);
        }
        Ok(file)
    };
    create().map_err(|source| Error::io("create", &path, source))
}

/// Makes a file, or the names in a folder, survive a power cut. Not every system can, and there it is not needed.
pub(crate) fn sync(path: &Path) {
    if let Ok(file) = File::open(path) {
        let _ = file.sync_all();
    }
}

/// The reading end: gives records in order, once each, and remembers what the server has.
pub(crate) struct JournalReader {
    folder: PathBuf,
    at: Position,
    /// The open segment, read up to `at`.
    file: Option<BufReader<File>>,
    /// Bytes of torn or damaged records that were passed over.
    discarded_bytes: u64,
}

impl JournalReader {
    /// Starts behind the last record that the server has confirmed.
    pub(crate) fn open(folder: &Path) -> Self {
        Self::at(folder, read_sent(folder).unwrap_or(Position::START))
    }

    /// Starts at the beginning of a segment.
    pub(crate) fn from_segment(folder: &Path, segment: u64) -> Self {
        Self::at(folder, Position { segment, offset: MAGIC.len() as u64 })
    }

    fn at(folder: &Path, at: Position) -> Self {
        Self { folder: folder.into(), at, file: None, discarded_bytes: 0 }
    }

    /// Bytes of torn or damaged records met so far.
    pub(crate) fn discarded_bytes(&self) -> u64 {
        self.discarded_bytes
    }

    /// At most `most` records, of a few megabytes together, before `until`, which is the end of whole records or
    /// [`Position::END`]. None at the end.
    ///
    /// A torn or damaged record ends its segment; reading goes on with the next one.
    pub(crate) fn read(&mut self, until: Position, most: usize) -> Result<Vec<Record>> {
        let (mut records, mut read_bytes) = (Vec::new(), 0);
        while records.len() < most && read_bytes < READ_BYTES && self.at < until {
            let Some(file) = self.open_segment()? else { break };
            match read_frame(file).map_err(|source| self.unreadable(source))? {
                Some((record, bytes)) => {
                    self.at.offset += bytes;
                    read_bytes += bytes;
                    records.push(record);
                }
                // The writer is still in this segment, so what comes after `until` will be sound.
                None if self.at.segment == until.segment => {
                    self.discarded_bytes += until.offset - self.at.offset;
                    (self.at, self.file) = (until, None);
                }
                None => {
                    let bytes = fs::metadata(segment_path(&self.folder, self.at.segment)).map_or(0, |file| file.len());
                    self.discarded_bytes += bytes.saturating_sub(self.at.offset);
                    self.file = None;
                    if !self.go_to_next_segment()? {
                        // Nothing is behind the torn end, and it is counted once.
                        self.at.offset = bytes.max(self.at.offset);
                        break;
                    }
                }
            }
        }
        Ok(records)
    }

    /// The segment at `at`, opened when needed; none when there is none.
    fn open_segment(&mut self) -> Result<Option<&mut BufReader<File>>> {
        if self.file.is_none() {
            if self.at.offset == 0 && !self.go_to_next_segment()? {
                return Ok(None);
            }
            let path = segment_path(&self.folder, self.at.segment);
            let open = || {
                let mut file = BufReader::with_capacity(64 << 10, File::open(&path)?);
                let mut magic = [0; MAGIC.len()];
                // A segment that ends before its first record is empty; other first bytes are no segment.
                if read_full(&mut file, &mut magic)? && magic != MAGIC {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no journal of this version"));
                }
                file.seek(SeekFrom::Start(self.at.offset))?;
                Ok(file)
            };
            self.file = Some(open().map_err(|source| Error::io("read", &path, source))?);
        }
        Ok(self.file.as_mut())
    }

    fn go_to_next_segment(&mut self) -> Result<bool> {
        let next = segments(&self.folder)?.into_iter().find(|segment| *segment > self.at.segment);
        if let Some(segment) = next {
            self.at = Position { segment, offset: MAGIC.len() as u64 };
        }
        Ok(next.is_some())
    }

    fn unreadable(&mut self, source: io::Error) -> Error {
        // The next try begins behind the last whole record.
        self.file = None;
        Error::io("read", &segment_path(&self.folder, self.at.segment), source)
    }

    /// The server has everything that was read: that is remembered, and older segments go.
    pub(crate) fn acknowledge(&self) -> Result<()> {
        write_sent(&self.folder, self.at)?;
        for segment in segments(&self.folder)?.into_iter().filter(|segment| *segment < self.at.segment) {
            let path = segment_path(&self.folder, segment);
            fs::remove_file(&path).map_err(|source| Error::io("delete", &path, source))?;
        }
        Ok(())
    }
}

fn read_sent(folder: &Path) -> Option<Position> {
    let text = fs::read_to_string(folder.join(SENT)).ok()?;
    let (segment, offset) = text.trim().split_once(' ')?;
    let at = Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? };
    // Behind the end of its segment it is about another file.
    let bytes = fs::metadata(segment_path(folder, at.segment)).map_or(0, |file| file.len());
    (at.offset >= MAGIC.len() as u64 && at.offset <= bytes).then_some(at)
}

fn write_sent(folder: &Path, at: Position) -> Result<()> {
    let path = folder.join(SENT);
    let partial = folder.join(format!("{SENT}.part"));
    fs::write(&partial, format!("{} {}\n", at.segment, at.offset))
        .and_then(|()| fs::rename(&partial, &path))
        .map_err(|source| Error::io("write", &path, source))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, RngExt, SeedableRng};
    use tempfile::TempDir;

    use super::*;
    use crate::record::tests::examples;
    use crate::{Metric, RunStatus};

    fn point(step: i64) -> Record {
        Record::Metric(Metric { key: "loss".into(), value: 0.5, timestamp_ms: 1, step })
    }

    fn points(steps: std::ops::Range<i64>) -> Vec<Record> {
        steps.map(point).collect()
    }

    fn read_all(folder: &Path) -> Vec<Record> {
        JournalReader::open(folder).read(Position::END, usize::MAX).unwrap()
    }

    /// A segment with these records, as bytes.
    fn segment(records: &[Record]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        records.iter().for_each(|record| encode_frame(record, &mut bytes));
        bytes
    }

    #[test]
    fn records_come_back_in_order_from_any_number_of_processes() {
        let folder = TempDir::new().unwrap();
        let mut expected = Vec::new();
        for process in 0..3 {
            let mut writer = JournalWriter::open(folder.path(), true).unwrap();
            for batch in [examples(), points(process * 100..process * 100 + 50)] {
                writer.append(&batch).unwrap();
                expected.extend(batch);
            }
        }
        assert_eq!(read_all(folder.path()), expected);
        assert_eq!(segments(folder.path()).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_reader_follows_a_writer_and_goes_on_where_the_server_was() {
        let folder = TempDir::new().unwrap();
        let mut writer = JournalWriter::open(folder.path(), false).unwrap();
        let mut reader = JournalReader::open(folder.path());
        let start = writer.position();
        assert_eq!(reader.read(start, 10).unwrap(), []);
        let end = writer.append(&points(0..5)).unwrap();
        assert_eq!(reader.read(end, 3).unwrap(), points(0..3));
        reader.acknowledge().unwrap();
        assert_eq!(reader.read(end, 3).unwrap(), points(3..5));
        let end = writer.append(&points(5..7)).unwrap();
        assert_eq!(reader.read(end, 3).unwrap(), points(5..7));
        assert_eq!(reader.at, end);
        assert_eq!(read_all(folder.path()), points(3..7), "from the last acknowledgement");
        fs::write(folder.path().join(SENT), "1 999999").unwrap();
        assert_eq!(read_all(folder.path()), points(0..7), "a place that is not there is no place");
    }

    #[test]
    fn full_segments_are_left_behind_and_deleted() {
        let folder = TempDir::new().unwrap();
        let mut writer = JournalWriter::open(folder.path(), false).unwrap();
        let big = |i: usize| Record::Param(i.to_string(), "x".repeat(1 << 20));
        let records: Vec<Record> = (0..20).map(big).collect();
        let mut end = Position::START;
        for record in &records {
            end = writer.append(std::slice::from_ref(record)).unwrap();
        }
        assert_eq!(segments(folder.path()).unwrap(), [1, 2, 3]);
        let mut reader = JournalReader::open(folder.path());
        assert_eq!(reader.read(end, 1000).unwrap(), records[..8], "not more than fits into memory");
        let mut reader = JournalReader::open(folder.path());
        for expected in records.chunks(7) {
            assert_eq!(reader.read(end, 7).unwrap(), expected);
            reader.acknowledge().unwrap();
        }
        assert_eq!(segments(folder.path()).unwrap(), [3], "the last one stays: it tells how the run ended");
        assert_eq!(JournalReader::open(folder.path()).read(end, 1).unwrap(), []);
    }

    #[test]
    fn a_torn_end_is_passed_over_and_counted() {
        let folder = TempDir::new().unwrap();
        JournalWriter::open(folder.path(), false).unwrap().append(&points(0..10)).unwrap();
        let path = segment_path(folder.path(), 1);
        let bytes = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(bytes - 3).unwrap();
        JournalWriter::open(folder.path(), false).unwrap().append(&points(10..12)).unwrap();
        let mut reader = JournalReader::open(folder.path());
        let found = reader.read(Position::END, usize::MAX).unwrap();
        assert_eq!(found, [points(0..9), points(10..12)].concat());
        assert_eq!(reader.discarded_bytes(), (bytes - MAGIC.len() as u64) / 10 - 3);
    }

    #[test]
    fn what_is_no_segment_is_said_to_be_none() {
        let folder = TempDir::new().unwrap();
        fs::write(segment_path(folder.path(), 1), "SQLite format 3").unwrap();
        let error = JournalReader::open(folder.path()).read(Position::END, 1).unwrap_err().to_string();
        assert!(error.contains("00000001.journal") && error.contains("no journal of this version"), "{error}");
        fs::write(segment_path(folder.path(), 1), "TRK").unwrap();
        assert_eq!(read_all(folder.path()), [], "a segment that was cut at its beginning is empty");
    }

    /// Any cut leaves the records before it.
    #[test]
    fn any_truncation_keeps_the_records_before_it() {
        let records = examples();
        let bytes = segment(&records);
        let mut ends = vec![MAGIC.len()];
        for count in 1..=records.len() {
            ends.push(segment(&records[..count]).len());
        }
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            assert_eq!(whole_records(&bytes[..cut]).0, whole, "cut at {cut}");
        }
    }

    /// Any flipped bit is found: the records before it are read, and none that was not written.
    #[test]
    fn any_flipped_bit_keeps_the_records_before_it() {
        let folder = TempDir::new().unwrap();
        let records = examples();
        let bytes = segment(&records);
        for bit in MAGIC.len() * 8..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(segment_path(folder.path(), 1), &damaged).unwrap();
            let before = (1..=records.len()).filter(|count| segment(&records[..*count]).len() <= bit / 8).count();
            assert_eq!(read_all(folder.path()), records[..before], "bit {bit}");
        }
    }

    /// Random records through random faults: what is read is always a beginning of what was written.
    #[test]
    fn random_damage_never_makes_up_a_record() {
        let folder = TempDir::new().unwrap();
        let mut random = SmallRng::seed_from_u64(7);
        for case in 0..500 {
            let records: Vec<Record> = (0..random.random_range(0..40)).map(|_| random_record(&mut random)).collect();
            let mut bytes = segment(&records);
            for _ in 0..random.random_range(1..6) {
                damage(&mut bytes, &mut random);
            }
            fs::write(segment_path(folder.path(), 1), &bytes).unwrap();
            let Ok(found) = JournalReader::open(folder.path()).read(Position::END, usize::MAX) else { continue };
            assert!(records.starts_with(&found), "case {case}");
            assert_eq!(whole_records(&bytes).0, found.len(), "case {case}");
        }
    }

    fn random_record(random: &mut SmallRng) -> Record {
        let text = |random: &mut SmallRng| {
            let length = random.random_range(0..60);
            (0..length).map(|_| random.random::<char>()).collect::<String>()
        };
        match random.random_range(0..4) {
            0 => Record::Metric(Metric {
                key: text(random),
                value: random.random_range(-1e300..1e300),
                timestamp_ms: random.random(),
                step: random.random(),
            }),
            1 => Record::Param(text(random), text(random)),
            2 => Record::Tag(text(random), text(random)),
            _ => Record::End(RunStatus::Finished, random.random()),
        }
    }

    fn damage(bytes: &mut Vec<u8>, random: &mut SmallRng) {
        let at = random.random_range(0..bytes.len().max(1));
        match random.random_range(0..3) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << random.random_range(0..8),
            _ => {
                let garbage = (0..random.random_range(1..64)).map(|_| random.next_u32() as u8);
                bytes.splice(at.min(bytes.len()).., garbage.collect::<Vec<u8>>());
            }
        }
    }
}
