//! JSON as Python's `json.dumps` writes it, so that both sides leave the same text in the database.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// `{"key": [1, 1e-05, "\u00fc"]}`.
pub(crate) fn to_text(value: &Value) -> String {
    let mut text = Vec::new();
    // Writing into memory and values of JSON cannot fail.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut text, Python));
    String::from_utf8_lossy(&text).into_owned()
}

/// What is no JSON, such as Python's `NaN`, is null.
pub(crate) fn from_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

struct Python;

impl Formatter for Python {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        // Both write the shortest digits, with an exponent from 1e16 on and below 1e-4; Python's has a sign and two digits.
        let text = format!("{value:?}");
        let Some((digits, exponent)) = text.split_once('e') else { return writer.write_all(text.as_bytes()) };
        match exponent.strip_prefix('-') {
            Some(exponent) => write!(writer, "{digits}e-{exponent:0>2}"),
            None => write!(writer, "{digits}e+{exponent:0>2}"),
        }
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if character.is_ascii() && character != '\x7f' {
                writer.write_all(&[character as u8])?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_that_of_python() {
        let value = json!({"a": [1e-5, 1.5e-7, 1e16, 0.0001, 0.6, 1.0, -2, null, true], "b": {}, "c": "ü\"\n😀"});
        let text = r#"{"a": [1e-05, 1.5e-07, 1e+16, 0.0001, 0.6, 1.0, -2, null, true], "b": {}, "c": "\u00fc\"\n\ud83d\ude00"}"#;
        assert_eq!(to_text(&value), text);
        assert_eq!(from_text(text), value);
    }
}
