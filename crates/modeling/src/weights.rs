//! Weights as safetensors files, readable by every framework.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn_store::{ModuleSnapshot, SafetensorsStore};

/// Why weights could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {doing} weights `{}`: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No safetensors data, or other layers than the model's.
    #[error("the weights do not fit this model: {reason}")]
    Mismatch {
        /// Which tensors are missing or have another shape.
        reason: String,
    },
    /// [`Error::Mismatch`] of a file.
    #[error("the weights in `{}` do not fit this model: {reason}", path.display())]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// Which tensors are missing or have another shape.
        reason: String,
    },
}

/// The weights, batch norm's running statistics among them, as the bytes of a safetensors file. Equal weights, equal bytes.
fn weights_to_bytes<M: Module>(model: &M) -> Result<Vec<u8>, Error> {
    let mismatch = |error: &dyn Display| Error::Mismatch { reason: error.to_string() };
    // burn-store's own metadata comes out of a hash map in random order; without it equal weights are equal files.
    let mut store = SafetensorsStore::from_bytes(None).clear_metadata();
    model.save_into(&mut store).map_err(|error| mismatch(&error))?;
    store.get_bytes().map_err(|error| mismatch(&error))
}

/// Gives the model these weights. Every tensor must be there and have the right shape.
fn weights_from_bytes<M: Module>(mut model: M, bytes: Vec<u8>) -> Result<M, Error> {
    let mut store = SafetensorsStore::from_bytes(Some(bytes));
    let result = model.load_from(&mut store).map_err(|error| Error::Mismatch { reason: error.to_string() })?;
    if !result.missing.is_empty() || !result.unused.is_empty() {
        let reason = format!("missing {:?}, not used {:?}", result.missing, result.unused);
        return Err(Error::Mismatch { reason });
    }
    Ok(model)
}

/// Writes the weights under a temporary name, then renames, so that a reader never sees half a file.
pub fn save_weights<M: Module>(model: &M, path: &Path) -> Result<(), Error> {
    let bytes = weights_to_bytes(model)?;
    let temporary = path.with_extension("safetensors.tmp");
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // A full disk: the half-written file goes, the error that counts is the first one.
        let _ = fs::remove_file(&temporary);
        Error::Io { doing: "write", path: path.to_owned(), source }
    })
}

/// Gives the model the weights of the file.
pub fn load_weights<M: Module>(model: M, path: &Path) -> Result<M, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Io { doing: "read", path: path.to_owned(), source })?;
    weights_from_bytes(model, bytes).map_err(|error| match error {
        Error::Mismatch { reason } => Error::WrongFile { path: path.to_owned(), reason },
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Int, Tensor};

    use super::*;
    use crate::{Inputs, Norm, TabularMlpConfig};

    #[test]
    fn weights_come_back_bit_for_bit() {
        let device = Device::flex();
        let inputs = Inputs { n_numeric: 4, n_real: 4, cardinalities: vec![3] };
        let config = TabularMlpConfig { norm: Norm::Batch, ..Default::default() };
        let model = config.init(&inputs, 3, &device);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save_weights(&model, &path).unwrap();
        let loaded = load_weights(config.init(&inputs, 3, &device), &path).unwrap();

        let numeric = Tensor::<2>::random([5, 4], Distribution::Default, &device);
        let categorical = Tensor::<2, Int>::ones([5, 1], &device);
        let before = model.forward(numeric.clone(), categorical.clone()).into_data();
        assert_eq!(before.as_bytes(), loaded.forward(numeric, categorical).into_data().as_bytes());
        let again = folder.path().join("again.safetensors");
        save_weights(&loaded, &again).unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap());
        fs::remove_file(&again).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn another_architecture_is_refused() {
        let device = Device::flex();
        let inputs = Inputs { n_numeric: 4, n_real: 4, cardinalities: vec![] };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        save_weights(&TabularMlpConfig::default().init(&inputs, 1, &device), &path).unwrap();
        let deeper = TabularMlpConfig { hidden_dims: vec![256, 256, 8], ..Default::default() };
        let error = load_weights(deeper.init(&inputs, 1, &device), &path).unwrap_err();
        assert!(error.to_string().contains("do not fit this model"), "{error}");
    }
}
