//! What every training run leaves behind: the record of its data, its layers as a table.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use dataset::DatasetInfo;
use modeling::{Layer, weight_bytes};
use tracking::{Dataset, DatasetInput, Run};

/// Records which rows a run reads; the digest has the split in it. `context`: `training`, `evaluation`, as MLflow shows it.
pub fn log_input(run: &Run, info: &DatasetInfo, context: &str) {
    run.log_input(DatasetInput {
        dataset: Dataset {
            name: info.name.clone(),
            digest: info.digest.clone(),
            source_type: info.source_type.clone(),
            source: info.source.clone(),
            schema: Some(info.schema.clone()),
            profile: Some(info.profile.clone()),
        },
        tags: BTreeMap::from([("mlflow.data.context".to_owned(), context.to_owned())]),
    });
}

/// The sha256 of each data file as a tag.
pub fn tag_files(run: &Run, info: &DatasetInfo) {
    let parts: &[&str] = match info.files.len() {
        3 => &[".train", ".valid", ".test"],
        2 => &[".train", ".test"],
        _ => &[""],
    };
    for (part, file) in parts.iter().zip(&info.files) {
        run.set_tag(&format!("dataset_file_sha256{part}"), &file.sha256);
    }
}

/// The sha256 of the data files, one after the other.
pub fn file_digests(info: &DatasetInfo) -> String {
    info.files.iter().map(|file| file.sha256.as_str()).collect::<Vec<_>>().join(",")
}

/// Layers with shapes and parameter counts under a heading, for `model_summary.txt`. `sample`: what FLOPs are counted for.
pub fn layer_table(heading: &str, layers: &[Layer], sample: &str) -> String {
    let width = |cell: fn(&Layer) -> usize, least: usize| layers.iter().map(cell).max().unwrap_or(0).max(least);
    let (name, kind, output) = (width(|l| l.name.len(), 5), width(|l| l.kind.len(), 4), width(|l| l.output.len(), 6));
    let rule = "-".repeat(name + kind + output + 33);
    let mut text = format!(
        "{heading}\n\n{:name$}  {:kind$}  {:output$}  {:>10}  {:>15}\n{rule}\n",
        "layer",
        "kind",
        "output",
        "parameters",
        format!("FLOPs/{sample}")
    );
    for layer in layers {
        text.push_str(&format!(
            "{:name$}  {:kind$}  {:output$}  {:>10}  {:>15}\n",
            layer.name, layer.kind, layer.output, layer.parameters, layer.flops
        ));
    }
    let total: usize = layers.iter().map(|layer| layer.parameters).sum();
    let flops: usize = layers.iter().map(|layer| layer.flops).sum();
    let kib = weight_bytes(layers) as f64 / 1024.0;
    text + &format!(
        "{rule}\ntotal parameters: {total} ({kib:.1} KiB as f32)\nFLOPs per {sample}, one forward pass: {flops}\n"
    )
}

/// Makes a file, and the folder it stands in: `write` gets a temporary name, and the file appears under its own when that is
/// done, or not at all.
pub fn write_file(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create folder `{}`", folder.display()))?;
    }
    let written = write(temporary).and_then(|()| fs::rename(temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(temporary);
    }
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

/// Writes a text file, whole or not at all.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write_file(path, |temporary| fs::write(temporary, text))
}
