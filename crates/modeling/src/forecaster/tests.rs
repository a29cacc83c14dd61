use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, TensorData};

use super::*;
use crate::fused::IN_STEPS;
use crate::{load_weights, save_weights};

const WINDOWS: usize = 2;

/// What `golden/golden.py` writes: PyTorch 2.15, double precision.
#[derive(Deserialize)]
struct Golden {
    config: ForecasterConfig,
    n_past: usize,
    n_future: usize,
    forecast: Vec<f64>,
    loss: f64,
    /// By parameter: sum of the gradient times made-up weights, sum of its squares.
    gradients: Vec<[f64; 2]>,
}

fn golden() -> Vec<Golden> {
    let cases: Vec<Golden> = serde_json::from_str(include_str!("golden/golden.json")).unwrap();
    assert_eq!(cases.len(), 23);
    cases
}

impl Golden {
    fn shape(&self) -> ForecastShape {
        ForecastShape { n_targets: 3, n_past: self.n_past, n_future: self.n_future, lookback: 10, horizon: 4 }
    }
}

/// The formula of `golden.py`.
fn made_up(key: i64, n: usize) -> Vec<f64> {
    (0..n as i64).map(|i| ((i * 7919 + key * 104_729 + 13) % 1009) as f64 / 1009.0 - 0.5).collect()
}

fn tensor<const D: usize>(key: i64, shape: [usize; D], factor: f64, device: &Device) -> Tensor<D> {
    let numbers: Vec<f32> = made_up(key, shape.iter().product()).into_iter().map(|x| (x * factor) as f32).collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

fn batch(shape: &ForecastShape, device: &Device) -> ForecastBatch {
    let (lookback, steps) = (shape.lookback, shape.lookback + shape.horizon);
    let levels = tensor::<3>(1001, [WINDOWS, shape.n_targets, 1], 4.0, device);
    ForecastBatch {
        past: tensor::<3>(1000, [WINDOWS, shape.n_targets, lookback], 3.0, device) + levels,
        past_covariates: tensor(1002, [WINDOWS, shape.n_past, lookback], 1.0, device),
        future_covariates: tensor(1003, [WINDOWS, shape.n_future, steps], 1.0, device),
    }
}

fn target(shape: &ForecastShape, device: &Device) -> Tensor<2> {
    tensor(1004, [WINDOWS * shape.n_targets, shape.horizon], 4.0, device)
}

/// Gives every parameter, in order, its made-up value.
struct MadeUp(i64);

impl ModuleMapper for MadeUp {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let key = self.0;
        self.0 += 1;
        let shift = if D == 1 { 0.75 } else { 0.0 };
        param.map(|old| tensor(key, old.dims(), 1.0, &old.device()).add_scalar(shift).detach().require_grad())
    }
}

struct Sums<'a> {
    gradients: &'a Gradients,
    found: Vec<[f64; 2]>,
}

impl ModuleVisitor for Sums<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).unwrap().into_data();
        let weights = made_up(2000 + self.found.len() as i64, gradient.num_elements());
        let numbers = gradient.iter::<f64>().zip(weights);
        self.found.push(numbers.fold([0.0; 2], |[by_weight, squares], (g, w)| [by_weight + g * w, squares + g * g]));
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[track_caller]
fn assert_close(found: &[f64], wanted: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() <= tolerance * wanted.abs().max(1.0), "{what}: {found} in place of {wanted}");
    }
}

/// Forecasts and gradients of the fused operations, and of those that other devices take, are PyTorch's.
#[test]
fn every_network_is_that_of_pytorch() {
    for in_steps in [false, true] {
        IN_STEPS.set(in_steps);
        for case in golden() {
            let (shape, device) = (case.shape(), Device::flex().autodiff());
            let what = format!("in steps: {in_steps}, {:?}", case.config);
            case.config.check().unwrap();
            case.config.check_shape(&shape).unwrap();
            let model = case.config.init(&shape, &device).map(&mut MadeUp(0));
            let forecast = model.forward(&batch(&shape, &device));
            let loss = case.config.loss(forecast.clone(), target(&shape, &device));
            let gradients = loss.backward();
            assert_eq!(forecast.dims(), [WINDOWS * 3, 4 * case.config.n_quantiles()]);
            assert_close(&floats(forecast), &case.forecast, 1e-5, &what);
            assert_close(&floats(loss), &[case.loss], 1e-5, &what);
            let mut sums = Sums { gradients: &gradients, found: Vec::new() };
            model.visit(&mut sums);
            assert_eq!(sums.found.len(), case.gradients.len(), "{what}");
            for (index, (found, wanted)) in sums.found.iter().zip(&case.gradients).enumerate() {
                assert_close(found, wanted, 5e-5, &format!("gradient {index}: {what}"));
            }
            // Without gradients, as in validation.
            let forecast = model.valid().forward(&batch(&shape, &Device::flex()));
            assert_close(&floats(forecast), &case.forecast, 1e-5, &what);
        }
        IN_STEPS.set(false);
    }
}

#[test]
fn summary_counts_what_init_makes() {
    for case in golden() {
        for n_targets in [1, 3] {
            let shape = ForecastShape { n_targets, ..case.shape() };
            let model = case.config.init(&shape, &Device::flex());
            let counted: usize = summarize_forecaster(&case.config, &shape).iter().map(|layer| layer.parameters).sum();
            assert_eq!(model.num_params(), counted, "{:?}", case.config);
        }
    }
}

#[test]
fn weights_come_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let device = Device::flex();
    for case in golden() {
        let (shape, config) = (case.shape(), &case.config);
        let model = config.init(&shape, &device);
        let before = floats(model.forward(&batch(&shape, &device)));
        save_weights(&model, &path).unwrap();
        let loaded = load_weights(config.init(&shape, &device), &path).unwrap();
        assert!(before == floats(loaded.forward(&batch(&shape, &device))), "{config:?}");
    }
}

/// On sizes that fill vector registers and leave a rest, and that are shared among threads.
#[test]
fn fused_operations_are_those_of_other_devices() {
    let shape = ForecastShape { n_targets: 3, n_past: 1, n_future: 2, lookback: 121, horizon: 37 };
    let device = Device::flex().autodiff();
    for case in golden() {
        let config = ForecasterConfig { moving_average: 25, ..case.config };
        let [plain, fused] = [true, false].map(|in_steps| {
            IN_STEPS.set(in_steps);
            let model = config.init(&shape, &device).map(&mut MadeUp(0));
            let windows = 200;
            let batch = ForecastBatch {
                past: tensor(1, [windows, 3, 121], 3.0, &device),
                past_covariates: tensor(2, [windows, 1, 121], 1.0, &device),
                future_covariates: tensor(3, [windows, 2, 158], 1.0, &device),
            };
            let forecast = model.forward(&batch);
            let loss = config.loss(forecast.clone(), tensor(4, [windows * 3, 37], 2.0, &device));
            let mut sums = Sums { gradients: &loss.backward(), found: Vec::new() };
            model.visit(&mut sums);
            IN_STEPS.set(false);
            (floats(forecast), floats(loss), sums.found)
        });
        assert_close(&fused.0, &plain.0, 1e-4, &format!("{config:?}"));
        assert_close(&fused.1, &plain.1, 1e-4, &format!("{config:?}"));
        assert_close(fused.2.as_flattened(), plain.2.as_flattened(), 1e-3, &format!("{config:?}"));
    }
}

#[test]
fn dropout_acts_in_training_only() {
    let shape = ForecastShape { n_targets: 3, n_past: 0, n_future: 2, lookback: 10, horizon: 4 };
    let device = Device::flex().autodiff();
    for kind in [ForecasterKind::Mlp, ForecasterKind::Tide, ForecasterKind::Tsmixer] {
        let model = ForecasterConfig { kind, dropout: 0.5, ..Default::default() }.init(&shape, &device);
        let training = batch(&shape, &device);
        assert_ne!(floats(model.forward(&training)), floats(model.forward(&training)), "{kind:?}");
        let (model, validation) = (model.valid(), batch(&shape, &Device::flex()));
        assert_eq!(floats(model.forward(&validation)), floats(model.forward(&validation)), "{kind:?}");
    }
}

#[test]
fn a_loss_that_is_lost_shows() {
    let device = Device::flex();
    for config in golden().into_iter().map(|case| case.config) {
        let columns = 20 * config.n_quantiles();
        let mut numbers = vec![0.5_f32; 2 * columns];
        numbers[columns] = f32::NAN;
        let forecast = Tensor::from_data(TensorData::new(numbers, [2, columns]), &device);
        let loss: f32 = config.loss(forecast, Tensor::zeros([2, 20], &device)).into_scalar();
        assert!(loss.is_nan(), "{config:?}");
    }
}

#[test]
fn what_is_out_of_range_is_named() {
    let default = ForecasterConfig::default;
    let bad = [
        ("hidden_dims", ForecasterConfig { hidden_dims: vec![8, 0], ..default() }),
        ("dropout", ForecasterConfig { dropout: 1.0, ..default() }),
        ("moving_average", ForecasterConfig { moving_average: 24, ..default() }),
        ("hidden_size", ForecasterConfig { hidden_size: 0, ..default() }),
        ("encoder_layers", ForecasterConfig { encoder_layers: 65, ..default() }),
        ("decoder_layers", ForecasterConfig { decoder_layers: 0, ..default() }),
        ("decoder_size", ForecasterConfig { decoder_size: 0, ..default() }),
        ("temporal_hidden", ForecasterConfig { temporal_hidden: 0, ..default() }),
        ("covariate_size", ForecasterConfig { covariate_size: 0, ..default() }),
        ("blocks", ForecasterConfig { blocks: 0, ..default() }),
        ("feed_forward_size", ForecasterConfig { feed_forward_size: 0, ..default() }),
        ("huber_delta", ForecasterConfig { huber_delta: f64::NAN, ..default() }),
        ("quantiles", ForecasterConfig { quantiles: vec![0.0, 0.5], ..default() }),
        ("quantiles", ForecasterConfig { quantiles: vec![0.5, 0.1], ..default() }),
        ("quantiles", ForecasterConfig { quantiles: vec![0.1, 0.9], ..default() }),
        (
            "instance_norm",
            ForecasterConfig { kind: ForecasterKind::Nlinear, instance_norm: InstanceNorm::Revin, ..default() },
        ),
        (
            "instance_norm",
            ForecasterConfig { kind: ForecasterKind::Rlinear, instance_norm: InstanceNorm::None, ..default() },
        ),
        (
            "individual",
            ForecasterConfig { kind: ForecasterKind::Linear, individual: true, mix_channels: true, ..default() },
        ),
    ];
    for (key, config) in bad {
        assert_eq!(config.check().unwrap_err().0, key);
    }
    for kind in ForecasterKind::ALL {
        let config = ForecasterConfig { kind, ..default() };
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.uses_covariates(), !format!("{kind:?}").to_lowercase().contains("linear"));
    }
    assert!(serde_json::from_str::<ForecasterConfig>(r#"{"hidden_dim": [8]}"#).is_err());
}

#[test]
fn shapes_that_make_no_network_are_refused() {
    let shape = ForecastShape { n_targets: 862, n_past: 0, n_future: 0, lookback: 336, horizon: 720 };
    let config = ForecasterConfig { kind: ForecasterKind::Linear, ..Default::default() };
    assert_eq!(config.check_shape(&shape), Ok(()));
    let mixing = ForecasterConfig { mix_channels: true, ..config.clone() };
    assert_eq!(mixing.check_shape(&shape).unwrap_err().0, "mix_channels");
    let nothing = ForecastShape { horizon: 0, ..shape };
    assert_eq!(config.check_shape(&nothing).unwrap_err().1, "a forecaster needs at least one step to forecast");
}

#[test]
fn the_median_is_the_point_forecast() {
    let config = ForecasterConfig { quantiles: vec![0.1, 0.5, 0.9], ..Default::default() };
    assert_eq!((config.n_quantiles(), config.median_index(), config.loss_name()), (3, 1, "pinball"));
    let config = ForecasterConfig::default();
    assert_eq!((config.n_quantiles(), config.median_index(), config.loss_name()), (1, 0, "mean_squared_error"));
}

/// The gradient of the past itself, as an explanation of a forecast would ask for it.
#[test]
fn the_past_has_a_gradient_too() {
    let device = Device::flex().autodiff();
    for case in golden() {
        let shape = case.shape();
        let [plain, fused] = [true, false].map(|in_steps| {
            IN_STEPS.set(in_steps);
            let model = case.config.init(&shape, &device).map(&mut MadeUp(0));
            let mut batch = batch(&shape, &device);
            batch.past = batch.past.detach().require_grad();
            let gradients = case.config.loss(model.forward(&batch), target(&shape, &device)).backward();
            IN_STEPS.set(false);
            floats(batch.past.grad(&gradients).unwrap())
        });
        assert!(plain.iter().any(|value| *value != 0.0));
        assert_close(&fused, &plain, 1e-5, &format!("{:?}", case.config));
    }
}
