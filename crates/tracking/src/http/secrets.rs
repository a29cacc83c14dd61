//! Taking secrets out of messages, in whatever spelling they come.

use std::cmp::Reverse;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

/// All but what an address may hold unescaped anywhere.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What must never be seen, in all its spellings, longest first so that none leaves a rest of another.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Remembers a secret for good: a server may quote an old token long after it was replaced.
    pub(super) fn add(&mut self, secret: &str) {
        self.0.extend(spellings(secret));
        self.0.retain(|spelling| !spelling.is_empty());
        self.0.sort_by(|a, b| Reverse(a.len()).cmp(&Reverse(b.len())).then_with(|| a.cmp(b)));
        self.0.dedup();
    }

    /// Remembers a password and what basic authentication makes of it.
    pub(super) fn add_basic(&mut self, username: &str, password: &str) {
        self.add(&format!("{username}:{password}"));
        self.add(password);
    }

    /// Remembers the user and the password in an address, as it is typed and as it is meant.
    pub(super) fn add_address(&mut self, address: &Url) {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        match address.password() {
            Some(password) => {
                self.add(password);
                self.add_basic(&decoded(address.username()), &decoded(password));
            }
            // A token alone: `https://TOKEN@host`.
            None if address.username().is_empty() => {}
            None => {
                self.add(address.username());
                self.add_basic(&decoded(address.username()), "");
                self.add(&decoded(address.username()));
            }
        }
    }

    pub(super) fn scrub(&self, text: &str) -> String {
        self.0.iter().fold(text.to_string(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

fn spellings(secret: &str) -> [String; 10] {
    let percent = utf8_percent_encode(secret, RESERVED).to_string();
    // A path keeps its slashes.
    let path = percent.replace("%2F", "/");
    let json = serde_json::Value::from(secret).to_string();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    [
        secret.to_string(),
        lower_case_escapes(&percent),
        lower_case_escapes(&path),
        percent,
        path,
        BASE64_STANDARD_NO_PAD.encode(secret),
        BASE64_URL_SAFE_NO_PAD.encode(secret),
        json[1..json.len() - 1].to_string(),
        html.replace('"', "&#34;").replace('\'', "&#39;"),
        html.replace('"', "&quot;").replace('\'', "&#x27;"),
    ]
}

/// `a%2FB` as `a%2fB`.
fn lower_case_escapes(percent: &str) -> String {
    let mut escape = 0;
    let lower = |c: char| {
        escape = if c == '%' { 2 } else { i32::max(escape - 1, -1) };
        if escape >= 0 { c.to_ascii_lowercase() } else { c }
    };
    percent.chars().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_secret_is_left() {
        let mut secrets = Secrets::default();
        secrets.add_basic("me", r#"p@/ss "w<ord&"#);
        secrets.add("tok.en-1");
        secrets.add_address(&Url::parse("http://u:q%40r@proxy:3128").expect("an address"));
        secrets.add_address(&Url::parse("http://lonely@proxy:3128").expect("an address"));
        for shown in [
            r#"got p@/ss "w<ord& there"#,
            "p%40%2Fss%20%22w%3Cord%26",
            "p%40%2fss%20%22w%3cord%26",
            "p%40/ss%20%22w%3Cord%26",
            "p%40/ss%20%22w%3cord%26",
            "Basic bWU6cEAvc3MgInc8b3JkJg==",
            r#"{"seen": "p@/ss \"w<ord&"}"#,
            "p@/ss &quot;w&lt;ord&amp;",
            "p@/ss &#34;w&lt;ord&amp;",
            "tok.en-1 dG9rLmVuLTE=",
            "q@r q%40r dTpxQHI=",
            "lonely bG9uZWx5Og==",
        ] {
            let scrubbed = secrets.scrub(shown);
            assert!(scrubbed.contains("***"), "{shown}: {scrubbed}");
            for rest in ["ord", "3cord", "cEAvc3MgInc8b3JkJg", "en-1", "LmVu", "q@r", "40r", "QHI", "lone", "ZWx5"] {
                assert!(!scrubbed.contains(rest), "{shown}: {scrubbed}");
            }
        }
        assert_eq!(secrets.scrub("nothing here"), "nothing here");
        assert_eq!(Secrets::default().scrub("as it is"), "as it is");
    }

    #[test]
    fn only_escapes_become_lower_case() {
        assert_eq!(lower_case_escapes("A%2FB%3CDE%C3%96F"), "A%2fB%3cDE%c3%96F");
    }
}
