//! Reads HTTP requests, for the server and the proxy that tests play.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::BufRead;

/// A request up to its body.
pub struct Head {
    /// As it came, with the empty line at its end.
    pub text: String,
    /// Without the query.
    pub path: String,
    pub authorization: String,
    /// Bytes of the body.
    pub length: usize,
}

impl Head {
    /// `None` for a connection that ends early or says something else than HTTP.
    pub fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut text = String::new();
        reader.read_line(&mut text).ok()?;
        let path = text.split(' ').nth(1)?.split('?').next()?.to_string();
        let (mut length, mut authorization) = (0, String::new());
        loop {
            let start = text.len();
            reader.read_line(&mut text).ok()?;
            let Some((name, value)) = text[start..].trim().split_once(':') else { break };
            match name.to_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "authorization" => authorization = value.trim().to_string(),
                _ => {}
            }
        }
        Some(Self { text, path, authorization, length })
    }

    /// `runs/log-batch`; for a file `PUT artifact` or `GET artifact`.
    pub fn endpoint(&self) -> String {
        match self.path.split_once("/mlflow/") {
            Some((_, endpoint)) => endpoint.to_string(),
            None => format!("{} artifact", self.text.split(' ').next().unwrap_or_default()),
        }
    }
}
