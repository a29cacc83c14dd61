//! Training gives the same bits for any number of threads. Alone in its file: burn's random numbers are one stream per
//! process, and a test beside this one would draw from it.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor};
use modeling::{
    Activation, ForecastBatch, ForecastShape, Forecaster, ForecasterConfig, ForecasterKind, Inputs, TabularMlp,
    TabularMlpConfig, Task,
};

/// All weights after three steps on 2,000 rows, large enough that every loop is shared among threads.
fn trained(threads: usize, activation: Activation) -> Vec<f32> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
        let device = Device::flex();
        device.seed(7);
        let config =
            TabularMlpConfig { hidden_dims: vec![300, 257], activation, dropout: 0.2, ..TabularMlpConfig::default() };
        let inputs = Inputs { n_numeric: 40, n_real: 40, cardinalities: vec![] };
        let device = device.autodiff();
        let mut model: TabularMlp = config.init(&inputs, 1, &device);
        let numbers: Vec<f32> = (0..2000 * 40).map(|i: u32| (i.wrapping_mul(37) % 101) as f32 / 50.0 - 1.0).collect();
        let numbers = Tensor::<1>::from_floats(numbers.as_slice(), &device).reshape([2000, 40]);
        let labels: Vec<f32> = (0..2000).map(|i| (i % 3 == 0) as u8 as f32).collect();
        let labels = Tensor::from_floats(labels.as_slice(), &device);
        let mut optimizer = AdamWConfig::new().init();
        for _ in 0..3 {
            let output = model.forward(numbers.clone(), Tensor::<2, Int>::zeros([2000, 0], &device));
            let gradients = Task::Binary.loss(output, labels.clone()).backward();
            let gradients = GradientsParams::from_grads(gradients, &model);
            model = optimizer.step(1e-2, model, gradients);
        }
        let model = model.valid();
        let out = model.forward(numbers.inner(), Tensor::<2, Int>::zeros([2000, 0], &Device::flex()));
        out.into_data().iter::<f32>().collect()
    })
}

/// Forecasts after three steps on 100 windows of 7 targets.
fn trained_forecaster(threads: usize, kind: ForecasterKind) -> Vec<f32> {
    let made_up = |n: u32| -> Vec<f32> { (0..n).map(|i| (i.wrapping_mul(37) % 101) as f32 / 50.0 - 1.0).collect() };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
        let device = Device::flex();
        device.seed(7);
        let device = device.autodiff();
        let shape = ForecastShape { n_targets: 7, n_past: 0, n_future: 2, lookback: 120, horizon: 40 };
        let config = ForecasterConfig { kind, dropout: 0.2, ..Default::default() };
        let mut model: Forecaster = config.init(&shape, &device);
        let batch = |device: &Device| ForecastBatch {
            past: Tensor::<1>::from_floats(made_up(84_000).as_slice(), device).reshape([100, 7, 120]),
            past_covariates: Tensor::zeros([100, 0, 120], device),
            future_covariates: Tensor::<1>::from_floats(made_up(32_000).as_slice(), device).reshape([100, 2, 160]),
        };
        let target = Tensor::<1>::from_floats(made_up(28_000).as_slice(), &device).reshape([700, 40]);
        let mut optimizer = AdamWConfig::new().init();
        for _ in 0..3 {
            let gradients = config.loss(model.forward(&batch(&device)), target.clone()).backward();
            let gradients = GradientsParams::from_grads(gradients, &model);
            model = optimizer.step(1e-3, model, gradients);
        }
        model.valid().forward(&batch(&Device::flex())).into_data().iter::<f32>().collect()
    })
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for activation in [Activation::Relu, Activation::Gelu] {
        let one = trained(1, activation);
        assert_eq!(one.len(), 2000);
        for threads in [2, 3] {
            assert!(one == trained(threads, activation), "{activation:?} with {threads} threads");
        }
    }
    for kind in ForecasterKind::ALL {
        let one = trained_forecaster(1, kind);
        assert_eq!(one.len(), 28_000);
        assert!(one == trained_forecaster(1, kind), "{kind:?} a second time");
        for threads in [2, 3] {
            assert!(one == trained_forecaster(threads, kind), "{kind:?} with {threads} threads");
        }
    }
}
