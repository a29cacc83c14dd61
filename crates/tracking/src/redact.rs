//! Taking credentials out of addresses.

/// An address without user, password, query and fragment, for logs and tags such as `mlflow.source.git.repoURL`.
/// Text that is no address comes back unchanged, and so does `git@host:path`, which holds no secret.
pub fn redact_url(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return match address.rsplit_once('@') {
            Some((user, host)) if user.contains(':') => host.to_string(),
            _ => address.to_string(),
        };
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let rest = if authority.contains('@') || looks_cut_in_a_password(authority) {
        // An unescaped `/`, `?` or `#` in a password ends the authority early, so the last `@` counts, not the first.
        let end = if authority.contains('@') { authority.rfind('@') } else { rest.rfind('@') };
        end.map_or(rest, |at| &rest[at + 1..])
    } else {
        rest
    };
    let shown = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{shown}")
}

/// `user:pa` is not `host:port`.
fn looks_cut_in_a_password(authority: &str) -> bool {
    let after_colon = if authority.starts_with('[') { None } else { authority.split_once(':') };
    after_colon.is_some_and(|(_, port)| !port.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::redact_url;

    #[test]
    fn credentials_leave_and_the_rest_stays() {
        for (address, shown) in [
            ("https://user:s3cret@host/x.git", "https://host/x.git"),
            ("https://s3cret@host:8443/p", "https://host:8443/p"),
            ("https://user:s3/cr?e#t@host/p", "https://host/p"),
            ("https://user:a@b@host/p", "https://host/p"),
            ("https://host/p?token=s3cret#s3cret", "https://host/p"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://[::1]:5000/a@b", "http://[::1]:5000/a@b"),
            ("user:s3cret@host:5000", "host:5000"),
            ("git@github.com:org/repo.git", "git@github.com:org/repo.git"),
            ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ] {
            assert_eq!(redact_url(address), shown);
        }
    }
}
