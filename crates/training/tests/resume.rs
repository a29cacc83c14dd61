//! A training that is cut, written to bytes and taken up by a freshly made model ends with the same bits.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Mutex;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn;
use burn::tensor::{Device, Tensor, activation};
use training::{
    Checkpoint, Ended, Error, Fitted, Next, OptimizerKind, Plan, Schedule, StepOutput, TrainingConfig,
    find_learning_rate, fit,
};

const ROWS: usize = 75;

/// burn has one random generator for the whole process, so that two trainings at once would share dropout's numbers.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// With all that has a state: batch norm's buffers, dropout's random numbers.
#[derive(Module, Debug)]
struct Net {
    first: nn::Linear,
    norm: nn::BatchNorm,
    dropout: nn::Dropout,
    second: nn::Linear,
}

impl Net {
    /// Other weights and parameter ids each time, as in another process.
    fn new(device: &Device) -> Self {
        Self {
            first: nn::LinearConfig::new(3, 8).init(device),
            norm: nn::BatchNormConfig::new(8).init(device),
            dropout: nn::DropoutConfig::new(0.3).init(),
            second: nn::LinearConfig::new(8, 1).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = activation::relu(self.norm.forward(self.first.forward(x)));
        self.second.forward(self.dropout.forward(x))
    }
}

struct Values(Vec<f32>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().into_data().iter::<f32>());
    }
}

/// All numbers of a model, buffers included.
fn values(model: &Net) -> Vec<f32> {
    let mut values = Values(Vec::new());
    model.valid().visit(&mut values);
    assert_eq!(values.0.len(), 3 * 8 + 8 + 4 * 8 + 8 + 1);
    values.0
}

fn features(device: &Device) -> (Tensor<2>, Tensor<2>) {
    let features: Vec<f32> = (0..ROWS * 3).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let target: Vec<f32> = features.chunks(3).map(|row| (3.0 * row[0] - row[1] * row[2]).sin()).collect();
    let shaped =
        |values: Vec<f32>, columns| Tensor::<1>::from_floats(values.as_slice(), device).reshape([ROWS, columns]);
    (shaped(features, 3), shaped(target, 1))
}

fn step(device: &Device) -> impl FnMut(&Net, &[u32]) -> StepOutput {
    let (features, target) = features(device);
    move |model: &Net, rows: &[u32]| {
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::from_ints(indices.as_slice(), &features.device());
        let output = model.forward(features.clone().select(0, indices.clone()));
        let loss = (output.clone() - target.clone().select(0, indices)).square().mean();
        StepOutput { loss, output }
    }
}

/// What a run leaves: the trained model, the model of its last epoch's end, and its checkpoint.
struct Run {
    fitted: Fitted<Net>,
    evaluated: Vec<f32>,
    checkpoint: Vec<u8>,
    rates: Vec<f64>,
}

/// Trains to the end, or ends after `last` epochs as if cut off.
fn run(model: Net, config: &TrainingConfig, resume: Option<&Checkpoint>, last: usize) -> Result<Run, Error<String>> {
    let device = Device::flex().autodiff();
    let (mut evaluated, mut checkpoint, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let plan = Plan { config, n_rows: ROWS, seed: 3, resume, seed_epoch: &|seed| device.seed(seed) };
    let fitted = fit(
        model,
        plan,
        step(&device),
        |_| Next::Continue,
        |end| {
            end.monitored = [1.0, 0.9, 0.9, 0.9, 0.8, 0.9][end.epoch - 1];
            checkpoint = end.checkpoint(&format!("after epoch {}", end.epoch)).map_err(|error| error.to_string())?;
            evaluated = values(&end.model);
            rates.push(end.learning_rate);
            Ok(if end.epoch == last { Next::Stop } else { Next::Continue })
        },
    )?;
    Ok(Run { fitted, evaluated, checkpoint, rates })
}

fn config() -> TrainingConfig {
    TrainingConfig { epochs: 6, batch_size: 16, learning_rate: 0.02, warmup_epochs: 0.5, ..Default::default() }
}

fn fresh() -> Net {
    Net::new(&Device::flex().autodiff())
}

/// The same initial weights for two runs, under different parameter ids.
fn twins() -> (Net, Net) {
    let (model, other) = (fresh(), fresh());
    let device = Device::flex().autodiff();
    let copy = |linear: &nn::Linear| nn::Linear {
        weight: Param::from_tensor(Tensor::from_data(linear.weight.val().into_data(), &device)),
        bias: linear.bias.as_ref().map(|bias| Param::from_tensor(Tensor::from_data(bias.val().into_data(), &device))),
    };
    let other = Net { first: copy(&model.first), second: copy(&model.second), ..other };
    assert_ne!(model.first.weight.id, other.first.weight.id);
    (model, other)
}

#[test]
fn resumed_is_uninterrupted_bit_for_bit() {
    let _guard = ONE_AT_A_TIME.lock();
    let sgd = TrainingConfig { optimizer: OptimizerKind::Sgd, nesterov: true, ..config() };
    let mut plateau = TrainingConfig { schedule: Schedule::ReduceOnPlateau, ..config() };
    plateau.schedule_options.plateau_patience = 0;
    let cases = [
        ("adamw", config()),
        ("adam", TrainingConfig { optimizer: OptimizerKind::Adam, ..config() }),
        ("sgd", sgd.clone()),
        ("plain sgd", TrainingConfig { momentum: 0.0, nesterov: false, ..sgd }),
        ("ema", TrainingConfig { ema_decay: Some(0.9), ..config() }),
        ("plateau", plateau),
        ("one cycle", TrainingConfig { schedule: Schedule::OneCycle, ..config() }),
        ("accumulation", TrainingConfig { accumulate_batches: 2, ..config() }),
    ];
    for (name, config) in cases {
        let (model, twin) = twins();
        let whole = run(model, &config, None, usize::MAX).unwrap();
        assert_eq!((whole.fitted.epochs, whole.fitted.ended), (6, Ended::AllEpochs), "{name}");
        for cut in [3, 5] {
            // Cloned before any step: batch norm's buffers would be shared.
            let first = run(twin.valid().train(), &config, None, cut).unwrap();
            let checkpoint = Checkpoint::from_bytes(&first.checkpoint).unwrap();
            assert_eq!((checkpoint.epoch(), checkpoint.caller()), (cut, format!("after epoch {cut}").as_str()));
            let rest = run(fresh(), &config, Some(&checkpoint), usize::MAX).unwrap();
            assert_eq!(rest.fitted.epochs, 6, "{name}");
            assert_eq!(values(&rest.fitted.model), values(&whole.fitted.model), "{name}, weights, cut {cut}");
            assert_eq!(rest.evaluated, whole.evaluated, "{name}, model of the last epoch, cut {cut}");
            assert_eq!([first.rates, rest.rates].concat(), whole.rates, "{name}");
            assert!(checkpoint.seconds() > 0.0);
        }
    }
}

#[test]
fn the_average_has_the_buffers_of_the_trained_model() {
    let _guard = ONE_AT_A_TIME.lock();
    let done = run(fresh(), &TrainingConfig { ema_decay: Some(0.99), ..config() }, None, usize::MAX).unwrap();
    let trained = values(&done.fitted.model);
    // 32 weights, gamma and beta, then mean and variance.
    let buffers = 32 + 16..32 + 32;
    assert_eq!(done.evaluated[buffers.clone()], trained[buffers]);
    assert_ne!(done.evaluated[..32], trained[..32]);
    assert_ne!(done.evaluated[32..48], trained[32..48]);
}

#[test]
fn another_training_is_refused_with_the_reason() {
    let _guard = ONE_AT_A_TIME.lock();
    let done = run(fresh(), &config(), None, 2).unwrap();
    let checkpoint = Checkpoint::from_bytes(&done.checkpoint).unwrap();
    let refused = |config: TrainingConfig| run(fresh(), &config, Some(&checkpoint), 9).err().unwrap().to_string();
    let adam = refused(TrainingConfig { optimizer: OptimizerKind::Adam, ..config() });
    assert_eq!(adam, "checkpoint: the optimizer was `AdamW` and is now `Adam`");
    let averaged = refused(TrainingConfig { ema_decay: Some(0.9), ..config() });
    assert_eq!(averaged, "checkpoint: the weight averaging was `false` and is now `true`");
    for length in 0..done.checkpoint.len() {
        assert!(Checkpoint::from_bytes(&done.checkpoint[..length]).is_err(), "cut to {length} bytes");
    }
    let mut other = done.checkpoint;
    other[7] = b'9';
    assert_eq!(Checkpoint::from_bytes(&other).unwrap_err().to_string(), "checkpoint: these bytes are none");
}

#[test]
fn the_sweep_leaves_the_model_alone_and_finds_a_rate_that_trains() {
    let _guard = ONE_AT_A_TIME.lock();
    let device = Device::flex().autodiff();
    let model = fresh();
    let before = values(&model);
    let config = config();
    let sweep = find_learning_rate(&model, &config, ROWS, 1, &|seed| device.seed(seed), step(&device));
    assert_eq!(values(&model), before);
    assert!((sweep.rates[0] - 1e-7).abs() < 1e-12);
    assert!(sweep.rates.len() > 60 && sweep.losses.len() == sweep.smoothed.len());
    let suggestion = sweep.suggestion.unwrap();
    assert!((1e-5..1.0).contains(&suggestion), "{suggestion}");
    assert_eq!(
        find_learning_rate(&model, &config, ROWS, 1, &|seed| device.seed(seed), step(&device)),
        sweep,
        "the same seed, the same sweep"
    );
}
