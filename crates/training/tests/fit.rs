//! The loop on a problem that is solved by hand: y = 3 a - 2 b + 1 without noise.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use burn::module::{Module, Param};
use burn::nn;
use burn::tensor::{Device, Tensor};
use training::{Ended, EpochEnd, Error, Fitted, Next, OptimizerKind, Plan, Schedule, StepOutput, TrainingConfig, fit};

const ROWS: usize = 103;

fn data(device: &Device) -> (Tensor<2>, Tensor<2>) {
    let features: Vec<f32> = (0..ROWS * 2).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let target: Vec<f32> = features.chunks(2).map(|row| 3.0 * row[0] - 2.0 * row[1] + 1.0).collect();
    let shaped =
        |values: Vec<f32>, columns| Tensor::<1>::from_floats(values.as_slice(), device).reshape([ROWS, columns]);
    (shaped(features, 2), shaped(target, 1))
}

fn config() -> TrainingConfig {
    TrainingConfig { epochs: 60, batch_size: 16, learning_rate: 0.1, weight_decay: 0.0, ..Default::default() }
}

/// Trains with one closure after each epoch.
fn train(
    config: &TrainingConfig,
    seed: u64,
    on_epoch: impl FnMut(&mut EpochEnd<nn::Linear>) -> Result<Next, String>,
) -> Result<Fitted<nn::Linear>, Error<String>> {
    let device = Device::flex().autodiff();
    let (features, target) = data(&device);
    let mut model = nn::LinearConfig::new(2, 1).init(&device);
    model.weight = Param::from_tensor(Tensor::<1>::from_floats([0.3, -0.1], &device).reshape([2, 1]));
    model.bias = Some(Param::from_tensor(Tensor::from_floats([0.2], &device)));
    let step = |model: &nn::Linear, rows: &[u32]| {
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::from_ints(indices.as_slice(), &device);
        let output = model.forward(features.clone().select(0, indices.clone()));
        let loss = (output.clone() - target.clone().select(0, indices)).square().mean();
        StepOutput { loss, output }
    };
    fit(
        model,
        Plan { config, n_rows: ROWS, seed, resume: None, seed_epoch: &|_| () },
        step,
        |_| Next::Continue,
        on_epoch,
    )
}

fn values(model: &nn::Linear) -> Vec<f32> {
    let mut values = model.weight.val().into_data().as_slice::<f32>().unwrap().to_vec();
    values.extend(model.bias.as_ref().unwrap().val().into_data().as_slice::<f32>().unwrap());
    values
}

#[test]
fn every_optimizer_finds_the_line() {
    for (optimizer, learning_rate) in
        [(OptimizerKind::AdamW, 0.1), (OptimizerKind::Adam, 0.1), (OptimizerKind::Sgd, 0.03)]
    {
        let config = TrainingConfig { optimizer, learning_rate, ..config() };
        let fitted = train(&config, 1, |_| Ok(Next::Continue)).unwrap();
        assert_eq!((fitted.epochs, fitted.ended), (60, Ended::AllEpochs));
        for (found, wanted) in values(&fitted.model).iter().zip([3.0, -2.0, 1.0]) {
            assert!((found - wanted).abs() < 1e-2, "{optimizer:?}: {:?}", values(&fitted.model));
        }
    }
}

/// Five full-batch steps with warm-up, cosine, clipping and weight decay, against the papers' formulas in numpy (double
/// precision): PyTorch's constants, decoupled decay for AdamW, decay added to the clipped gradient for Adam and SGD.
#[test]
fn steps_agree_with_the_formulas() {
    let expected = [
        (OptimizerKind::AdamW, [0.6274546, -0.4340677, 0.5286438]),
        (OptimizerKind::Adam, [0.6415083, -0.4412259, 0.5373872]),
        (OptimizerKind::Sgd, [0.54394, -0.3211129, 0.3632226]),
    ];
    for (optimizer, wanted) in expected {
        let config = TrainingConfig {
            epochs: 5,
            batch_size: ROWS,
            optimizer,
            learning_rate: 0.1,
            weight_decay: 0.1,
            warmup_epochs: 1.5,
            gradient_clip_norm: 0.5,
            ..Default::default()
        };
        let found = values(&train(&config, 1, |_| Ok(Next::Continue)).unwrap().model);
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 2e-6, "{optimizer:?}: {found} in place of {wanted}");
        }
    }
}

/// Five full-batch steps in PyTorch 2.15, double precision: the weights, and `AveragedModel` with
/// `get_ema_multi_avg_fn(decay)`.
#[test]
fn nesterov_betas_and_weight_averaging_agree_with_pytorch() {
    let base = TrainingConfig {
        epochs: 5,
        batch_size: ROWS,
        schedule: Schedule::Constant,
        warmup_epochs: 0.0,
        weight_decay: 0.1,
        gradient_clip_norm: 0.0,
        ..Default::default()
    };
    let sgd = TrainingConfig {
        optimizer: OptimizerKind::Sgd,
        learning_rate: 0.05,
        nesterov: true,
        ema_decay: Some(0.9),
        ..base.clone()
    };
    let adamw = TrainingConfig { learning_rate: 0.1, betas: [0.8, 0.95], epsilon: 1e-3, ema_decay: Some(0.6), ..base };
    let expected = [
        (sgd, [1.8895508, -1.4474591, 1.0579544], [0.8212168, -0.5460167, 0.5162839]),
        (adamw, [0.7719719, -0.580945, 0.6651834], [0.6506676, -0.4574699, 0.5478573]),
    ];
    for (config, weights, averages) in expected {
        let mut last = Vec::new();
        let fitted = train(&config, 1, |end| {
            last = values(&end.model);
            Ok(Next::Continue)
        });
        for (found, wanted) in values(&fitted.unwrap().model).iter().chain(&last).zip(weights.iter().chain(&averages)) {
            assert!((found - wanted).abs() < 2e-6, "{:?}: {found} in place of {wanted}", config.optimizer);
        }
    }
}

/// Four batches of 10 are a step of 40 rows; the last group of the 103 rows has three batches, the last of them 3 rows.
#[test]
fn accumulated_batches_are_one_great_batch() {
    for optimizer in [OptimizerKind::AdamW, OptimizerKind::Sgd] {
        let one = TrainingConfig { optimizer, epochs: 3, batch_size: 40, learning_rate: 0.03, ..config() };
        let four = TrainingConfig { batch_size: 10, accumulate_batches: 4, ..one.clone() };
        let [one, four] = [one, four].map(|config| train(&config, 1, |_| Ok(Next::Continue)).unwrap().model);
        for (one, four) in values(&one).iter().zip(values(&four)) {
            assert!((one - four).abs() < 1e-6, "{optimizer:?}: {one} {four}");
        }
    }
}

#[test]
fn a_plateau_of_the_monitored_value_lowers_the_rate() {
    let mut config = TrainingConfig { epochs: 8, schedule: Schedule::ReduceOnPlateau, warmup_epochs: 0.0, ..config() };
    config.schedule_options.plateau_patience = 1;
    let run = |monitor: &str, value: fn(usize) -> f64| {
        let mut config = config.clone();
        config.early_stopping.monitor = monitor.to_owned();
        let mut rates = Vec::new();
        train(&config, 1, |end| {
            rates.push(end.learning_rate);
            end.monitored = value(end.epoch);
            Ok(Next::Continue)
        })
        .unwrap();
        rates.iter().map(|rate| (rate / 0.1).log10().round() as i32).collect::<Vec<i32>>()
    };
    assert_eq!(run("val_loss", |epoch| 1.0 / epoch as f64), [0; 8]);
    assert_eq!(run("val_loss", |_| 1.0), [0, 0, 0, -1, -1, -2, -2, -3]);
    assert_eq!(run("r2", |epoch| epoch as f64), [0; 8], "greater is better for R2");
    assert_eq!(run("val_loss", |_| f64::NAN)[2], -1);
}

#[test]
fn a_used_up_time_budget_ends_after_a_whole_epoch() {
    let config = TrainingConfig { time_budget_minutes: Some(1e-9), ..config() };
    let mut epochs = 0;
    let fitted = train(&config, 1, |_| {
        epochs += 1;
        Ok(Next::Continue)
    });
    assert_eq!(fitted.map(|fitted| (fitted.epochs, fitted.ended)).unwrap(), (1, Ended::TimeBudget));
    assert_eq!(epochs, 1);
}

#[test]
fn every_epoch_sees_every_row_once_in_a_new_order() {
    let mut orders = Vec::new();
    train(&TrainingConfig { epochs: 3, ..config() }, 5, |end| {
        assert_eq!(end.train_output.dims(), [ROWS, 1], "the last, smaller batch is there");
        orders.push(end.train_rows.clone());
        Ok(Next::Continue)
    })
    .unwrap();
    assert_ne!(orders[0], orders[1]);
    for mut order in orders {
        order.sort_unstable();
        assert!(order.into_iter().eq(0..ROWS as u32));
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let run = |seed| values(&train(&config(), seed, |_| Ok(Next::Continue)).unwrap().model);
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn stops_when_told_and_passes_errors_on() {
    let stop_at =
        |last| move |end: &mut EpochEnd<nn::Linear>| Ok(if end.epoch == last { Next::Stop } else { Next::Continue });
    let fitted = train(&config(), 1, stop_at(4)).unwrap();
    assert_eq!((fitted.epochs, fitted.ended), (4, Ended::Told));
    let error = train(&config(), 1, |_| Err("disk full".to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "disk full");
}

#[test]
fn a_diverging_loss_is_named() {
    let config = TrainingConfig {
        optimizer: OptimizerKind::Sgd,
        learning_rate: 90.0,
        warmup_epochs: 0.0,
        gradient_clip_norm: 0.0,
        ..config()
    };
    let error = train(&config, 1, |_| Ok(Next::Continue)).unwrap_err();
    assert!(matches!(error, Error::NonFiniteLoss { .. }));
    assert!(error.to_string().contains("(learning rate 8."), "{error}");
}

#[test]
fn clipping_limits_the_joint_norm() {
    use burn::optim::GradientsParams;
    let device = Device::flex().autodiff();
    let mut model = nn::LinearConfig::new(2, 1).init(&device);
    model.weight = Param::from_tensor(Tensor::<1>::from_floats([0.0, 0.0], &device).reshape([2, 1]));
    let input = Tensor::<1>::from_floats([3.0, 4.0], &device).reshape([1, 2]);
    // The gradient of sum(w x + b) is (3, 4) for w and 1 for b: norm sqrt(26).
    let gradients =
        |model: &nn::Linear| GradientsParams::from_grads(model.forward(input.clone()).sum().backward(), model);
    let mut clipped = gradients(&model);
    let norm = training::clip_by_global_norm(&mut clipped, &model, 1.0);
    assert!((norm - 26.0_f64.sqrt()).abs() < 1e-5);
    assert!((training::clip_by_global_norm(&mut clipped, &model, 1e9) - 1.0).abs() < 1e-5);
    let mut small = gradients(&model);
    training::clip_by_global_norm(&mut small, &model, 100.0);
    let weight = small.get::<2>(model.weight.id).unwrap().into_data();
    assert_eq!(weight.as_slice::<f32>().unwrap(), [3.0, 4.0], "below the limit nothing changes");
    assert_eq!(model.num_params(), 3);
}
