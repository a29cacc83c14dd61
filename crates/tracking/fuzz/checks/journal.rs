//! What must hold of any bytes, as a segment of a journal and as a record.

use tracking::{rewritten_record, whole_records};

pub fn check(bytes: &[u8]) {
    let (records, end) = whole_records(bytes);
    assert!(end <= bytes.len());
    assert_eq!(whole_records(&bytes[..end]), (records, end), "what is behind the last whole record does not count");
    if records > 0 {
        let (fewer, earlier) = whole_records(&bytes[..end - 1]);
        assert!(fewer + 1 == records && earlier < end, "a cut costs the last record and no other");
    }
    if let Some(written) = rewritten_record(bytes) {
        assert_eq!(rewritten_record(&written).as_ref(), Some(&written), "what we write, we read");
    }
}
