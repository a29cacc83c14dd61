//! All that an interrupted training needs to go on as if nothing had happened, as one blob of bytes, so that a file of it
//! is never half old and half new.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};

use crate::average::WeightAverage;
use crate::fit::{LoopState, Plan};
use crate::schedule::Plateau;
use crate::{Optimizer, OptimizerKind};

/// First bytes of a checkpoint; the last two are the version of the format.
const MAGIC: &[u8; 8] = b"FITCKP01";

/// Where a training stood after an epoch; made by [`EpochEnd::checkpoint`](crate::EpochEnd::checkpoint), read with
/// [`Checkpoint::from_bytes`], taken up with [`Plan::resume`].
#[derive(Debug, Clone)]
pub struct Checkpoint {
    header: Header,
    weights: Vec<u8>,
    optimizer: Vec<u8>,
    average: Vec<u8>,
}

/// Why a checkpoint could not be written, read or taken up.
#[derive(Debug, thiserror::Error)]
#[error("checkpoint: {0}")]
pub struct CheckpointError(String);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    epoch: usize,
    global_step: usize,
    seconds: f64,
    seed: u64,
    n_rows: usize,
    optimizer: OptimizerKind,
    plateau: Plateau,
    caller: String,
    /// Bytes of weights, optimizer, average.
    lengths: [usize; 3],
}

fn failed(doing: &str) -> impl Fn(&dyn std::fmt::Display) -> CheckpointError {
    move |reason| CheckpointError(format!("{doing}: {reason}"))
}

impl Checkpoint {
    /// Reads what [`EpochEnd::checkpoint`](crate::EpochEnd::checkpoint) gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let cut = || CheckpointError("it ends too early".to_owned());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| CheckpointError("these bytes are none".to_owned()))?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let (header, mut rest) = rest.split_at_checked(u64::from_le_bytes(*length) as usize).ok_or_else(cut)?;
        let header: Header = serde_json::from_slice(header).map_err(|error| failed("bad header")(&error))?;
        let mut part = |length| -> Result<Vec<u8>, CheckpointError> {
            let (part, after) = rest.split_at_checked(length).ok_or_else(cut)?;
            rest = after;
            Ok(part.to_vec())
        };
        let [weights, optimizer, average] = header.lengths;
        let (weights, optimizer, average) = (part(weights)?, part(optimizer)?, part(average)?);
        Ok(Self { header, weights, optimizer, average })
    }

    /// Whole epochs done.
    pub fn epoch(&self) -> usize {
        self.header.epoch
    }

    /// Seconds of wall time used.
    pub fn seconds(&self) -> f64 {
        self.header.seconds
    }

    /// The text that was given to [`EpochEnd::checkpoint`](crate::EpochEnd::checkpoint).
    pub fn caller(&self) -> &str {
        &self.header.caller
    }

    /// `valid` is a copy of the model without gradients; making it has brought its buffers up to date.
    pub(crate) fn write<M: Module>(
        state: &LoopState<M>,
        plan: &Plan,
        plateau: Plateau,
        caller: &str,
    ) -> Result<Vec<u8>, CheckpointError> {
        let record = |model: M| -> Result<Vec<u8>, CheckpointError> {
            Ok(model.into_record().into_bytes().map_err(|error| failed("cannot write the weights")(&error))?.to_vec())
        };
        let valid = state.model.valid();
        let average = state.average.as_ref().map_or(Ok(Vec::new()), |average| record(average.apply(valid.clone())))?;
        let weights = record(valid)?;
        let optimizer = state.optimizer.to_bytes().map_err(|error| CheckpointError(error.to_string()))?;
        let header = Header {
            epoch: state.epoch,
            global_step: state.global_step,
            seconds: state.seconds(),
            seed: plan.seed,
            n_rows: plan.n_rows,
            optimizer: plan.config.optimizer,
            plateau,
            caller: caller.to_owned(),
            lengths: [weights.len(), optimizer.len(), average.len()],
        };
        let header = serde_json::to_vec(&header).map_err(|error| failed("cannot write the header")(&error))?;
        let length = (header.len() as u64).to_le_bytes();
        Ok([MAGIC.as_slice(), &length, &header, &weights, &optimizer, &average].concat())
    }

    /// The state of the loop that wrote it, in a freshly made `model` of the same shape.
    pub(crate) fn restore<M: Module>(&self, model: M, plan: &Plan) -> Result<LoopState<M>, CheckpointError> {
        self.check(plan)?;
        let load = |model: M, bytes: &[u8]| {
            ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes.to_vec()))
                .and_then(|record| model.try_load_record(record))
                .map_err(|error| failed("the weights do not fit this model")(&error))
        };
        // A record brings the ids of its parameters along, under which the optimizer keeps its state.
        let model = load(model, &self.weights)?;
        let mut optimizer = Optimizer::new(plan.config);
        optimizer.load_bytes(&self.optimizer).map_err(|error| CheckpointError(error.to_string()))?;
        let mut average = plan.config.ema_decay.map(WeightAverage::new);
        if let Some(average) = &mut average {
            average.restore(&load(model.valid(), &self.average)?, &model);
        }
        let Header { epoch, global_step, seconds, ref plateau, .. } = self.header;
        let fresh = LoopState::new(model, optimizer, average, seconds);
        Ok(LoopState { epoch, global_step, plateau: plateau.clone(), ..fresh })
    }

    /// Other rows, another seed or another optimizer would be another training.
    fn check(&self, plan: &Plan) -> Result<(), CheckpointError> {
        let header = &self.header;
        let pairs = [
            ("seed", header.seed.to_string(), plan.seed.to_string()),
            ("number of training rows", header.n_rows.to_string(), plan.n_rows.to_string()),
            ("optimizer", format!("{:?}", header.optimizer), format!("{:?}", plan.config.optimizer)),
            ("weight averaging", (!self.average.is_empty()).to_string(), plan.config.ema_decay.is_some().to_string()),
        ];
        match pairs.into_iter().find(|(_, then, now)| then != now) {
            Some((what, then, now)) => Err(CheckpointError(format!("the {what} was `{then}` and is now `{now}`"))),
            None => Ok(()),
        }
    }
}
