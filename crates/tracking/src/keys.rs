//! Keys and file names that MLflow and every file system take.

use crate::rules::{MAX_KEY_CHARS, check_key, truncate};

/// The nearest key that MLflow accepts. One that is changed ends in a hash of the original, so that `recall@5` and
/// `recall%5` stay two keys.
pub(crate) fn clean_key(key: &str) -> String {
    if check_key("key", key).is_ok() {
        return key.to_string();
    }
    let plain: String =
        key.chars().map(|c| if c.is_alphanumeric() || "_-. :/".contains(c) { c } else { '_' }).collect();
    let parts: Vec<&str> = plain.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    let clean = parts.join("/");
    let hash = hash(key);
    format!("{}_{hash}", truncate(&clean, MAX_KEY_CHARS - 1 - hash.len()))
}

/// A file name for a key that every file system takes. One that is changed ends in a hash of the key.
pub(crate) fn file_stem(key: &str) -> String {
    let plain = key.replace(':', "_");
    let end = (0..=plain.len().min(200)).rev().find(|end| plain.is_char_boundary(*end)).unwrap_or(0);
    if plain[..end] == *key { plain } else { format!("{}_{}", &plain[..end], hash(key)) }
}

/// FNV-1a, 32 bits: the same on every machine and in every version, so that a resumed run goes on under the same keys.
pub(crate) fn hash(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_keys_stay_different_and_good_ones_stay() {
        let long = "k".repeat(251);
        for (a, b) in [("recall@5", "recall%5"), ("a//b", "a/b"), (long.as_str(), &(long.clone() + "k")), ("", "..")] {
            assert_ne!(clean_key(a), clean_key(b));
            check_key("Metric name", &clean_key(a)).expect("a good key");
        }
        assert_eq!((clean_key("recall@5").as_str(), clean_key("a/b:c").as_str()), ("recall_5_249b687f", "a/b:c"));
        assert_ne!(file_stem("a:b"), file_stem("a_b"));
        assert_ne!(file_stem(&long[1..]), file_stem(&long[2..]));
        assert_eq!(file_stem("a/b c"), "a/b c");
    }
}
