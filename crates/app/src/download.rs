//! Data files from the web: downloaded once, checked against their sha256.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::blocking::Client;
use sha2::{Digest, Sha256};

use crate::console::Console;
use crate::exit::Interrupted;

/// Where the data file of a config is: as given, else below `data_dir`, else (with `url`) downloaded to it.
///
/// With `sha256`, the file must have it, freshly downloaded or not. `key` is the setting that names the file.
pub fn find_or_download(
    key: &str,
    path: &Path,
    url: Option<&str>,
    sha256: Option<&str>,
    data_dir: &Path,
    console: &Console,
) -> Result<PathBuf> {
    let below = data_dir.join(path);
    let tried = if below == path || path.is_absolute() || path.starts_with(data_dir) {
        vec![path.to_owned()]
    } else {
        vec![path.to_owned(), below]
    };
    let found = tried.iter().find(|candidate| candidate.exists());
    let file = match (found, url) {
        (Some(file), _) => file.clone(),
        (None, Some(url)) => {
            let file = tried[tried.len() - 1].clone();
            return download(url, sha256, &file, console).map(|()| file);
        }
        (None, None) => {
            let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let tried: Vec<String> = tried.iter().map(|path| format!("`{}`", absolute(path).display())).collect();
            bail!(
                "no data file `{}` (looked for {})\nhint: check `{key}`{}",
                path.display(),
                tried.join(" and "),
                if key == "data.path" { ", or set `data.url` to have it downloaded" } else { "" }
            );
        }
    };
    if let Some(expected) = sha256 {
        let actual = file_sha256(&file)?;
        if !actual.eq_ignore_ascii_case(expected) {
            bail!(
                "`{}` has sha256 {actual}, but the config expects {expected}\n\
                 hint: the file changed since the config was written; delete it to download it again, or correct `data.sha256`",
                file.display()
            );
        }
    }
    Ok(file)
}

/// Streams to a temporary name; the file appears under its own name complete and checked, or not at all.
fn download(url: &str, sha256: Option<&str>, file: &Path, console: &Console) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot create folder `{}`", folder.display()))?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    // The process id keeps two programs that start at once apart.
    name.push(format!(".{}.part", std::process::id()));
    let partial = file.with_file_name(name);
    let result = stream(url, sha256, &partial, console)
        .and_then(|()| fs::rename(&partial, file).with_context(|| format!("cannot write `{}`", file.display())));
    if result.is_err() {
        // The error that counts is the download's.
        let _ = fs::remove_file(&partial);
        console.stop_if_interrupted()?;
    }
    result.with_context(|| {
        let shown = tracking::redact_url(url);
        format!("cannot download `{shown}`\nhint: download it by hand to `{}` and run again", file.display())
    })
}

fn stream(url: &str, sha256: Option<&str>, partial: &Path, console: &Console) -> Result<()> {
    // reqwest's errors quote the address, credentials included.
    let response = client()?.get(url).send().and_then(|response| response.error_for_status());
    let mut response = response.map_err(reqwest::Error::without_url)?;
    let bar = console.download_bar(&tracking::redact_url(url), response.content_length());
    let mut file = File::create(partial).with_context(|| format!("cannot write `{}`", partial.display()))?;
    let actual = for_each_block(&mut response, |block| {
        bar.inc(block.len() as u64);
        if console.is_interrupted() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, Interrupted));
        }
        file.write_all(block)
    })
    .with_context(|| format!("the transfer to `{}` broke off", partial.display()))?;
    file.sync_all()?;
    bar.finish_and_clear();
    match sha256 {
        Some(expected) if !actual.eq_ignore_ascii_case(expected) => {
            bail!("the file there has sha256 {actual}, but the config expects {expected}")
        }
        Some(_) => Ok(()),
        None => {
            console.note(&format!("downloaded; to hold the file to it, set `data.sha256: {actual}`"));
            Ok(())
        }
    }
}

/// A client that gives up when nothing comes for 30 s; the whole transfer may take as long as it takes.
fn client() -> Result<Client> {
    // Already installed by the tracker's own client: fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Client::builder().timeout(Duration::from_secs(30)).build()?)
}

fn file_sha256(path: &Path) -> Result<String> {
    let context = || format!("cannot read `{}`", path.display());
    for_each_block(&mut File::open(path).with_context(context)?, |_| Ok(())).with_context(context)
}

/// Reads to the end in blocks; gives the sha256 of it all.
fn for_each_block(source: &mut impl Read, mut visit: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
        visit(&buffer[..read])?;
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
