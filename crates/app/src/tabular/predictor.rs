//! A trained model that takes raw rows.

use anyhow::Result;
use burn::tensor::Device;
use dataset::{Part, Preprocessor, Table};
use modeling::{TabularMlp, load_weights};

use crate::bundle::TrainedModel;
use crate::tabular::outputs::TabularNet;
use crate::tabular::scoring::{self, Rows};

/// Rows that go through the networks at once, so that memory stays bounded.
const CHUNK: usize = 8192;

/// Preprocessing and networks of a bundle, in memory.
pub struct Predictor {
    /// Shape, task, classes.
    pub net: TabularNet,
    /// From raw columns to inputs.
    pub preprocessor: Preprocessor,
    models: Vec<TabularMlp>,
    device: Device,
}

impl Predictor {
    /// Reads the weights of a model's folder.
    pub fn load(model: TrainedModel<TabularNet>) -> Result<Self> {
        let device = Device::flex();
        let preprocessor = Preprocessor::from_json(&model.preprocessor)?;
        let net = model.net;
        let load = |file| load_weights(net.model.init(&net.inputs, net.task.n_outputs(), &device), file);
        let models = model.weights.iter().map(|file| load(file)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { net, preprocessor, models, device })
    }

    /// Raw rows -> values in original units, or probabilities row by row, `[rows, n_outputs]`.
    pub fn predict(&self, table: &Table) -> Result<Vec<f32>> {
        Ok(self.predict_encoded(self.preprocessor.transform(table)?))
    }

    /// The same for rows that are encoded.
    pub fn predict_encoded(&self, mut part: Part) -> Vec<f32> {
        let n_rows = part.n_rows();
        let rows = Rows::new(&mut part, &self.preprocessor, &self.device);
        let forward = scoring::ensemble(&self.models, self.net.task);
        let mut predicted = Vec::with_capacity(n_rows * self.net.task.n_outputs());
        for start in (0..n_rows).step_by(CHUNK) {
            let chunk = start..(start + CHUNK).min(n_rows);
            let (numeric, categorical) = (rows.numeric.clone(), rows.categorical.clone());
            let output = forward(numeric.slice(chunk.clone()), categorical.slice(chunk));
            predicted.extend(scoring::predictions(output, self.net.task, &self.preprocessor));
        }
        predicted
    }
}
