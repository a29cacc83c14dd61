//! The data of a search, prepared once for all trials that agree in their settings.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use burn::tensor::Device;

use crate::pipeline::lock;
use crate::session::Session;
use crate::tune::tunable::Tunable;

/// What is kept: of the settings in use, and of those before.
const KEPT: usize = 4;

/// The settings, and what was made of them: one part, or one for each fold.
type Kept<D> = (String, Arc<Vec<D>>);

/// What is read and prepared, by the settings that decide it.
pub struct DataCache<C: Tunable> {
    folds: Option<usize>,
    kept: Mutex<Vec<Kept<C::Data>>>,
}

impl<C: Tunable> DataCache<C> {
    /// Nothing is read yet.
    pub fn new(folds: Option<usize>) -> Self {
        Self { folds, kept: Mutex::default() }
    }

    /// The data that a config asks for. Another thread that asks meanwhile waits: it most likely wants the same.
    pub fn get(&self, config: &C, device: &Device, session: &Session) -> Result<Arc<Vec<C::Data>>> {
        let (key, mut kept) = (config.data_key()?, lock(&self.kept));
        if let Some(place) = kept.iter().position(|(known, _)| *known == key) {
            let found = kept.remove(place);
            let data = Arc::clone(&found.1);
            kept.push(found);
            return Ok(data);
        }
        let data = Arc::new(config.prepare(self.folds, device, session)?);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((key, Arc::clone(&data)));
        Ok(data)
    }
}
