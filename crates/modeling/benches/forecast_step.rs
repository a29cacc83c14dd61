//! Time of a forecaster's training step without the optimizer: batch to tensors, forward, loss, backward. ETTh1's
//! sizes: 32 windows of 7 targets, look-back 336, horizon 96. Prints one line per kind: `name threads microseconds`,
//! the median.
//!
//! `cargo bench -p modeling --profile dev --bench forecast_step -- [--threads N] [KIND ...]`
//! `forecast_step.py` beside it does the same with PyTorch.

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use modeling::{ForecastBatch, ForecastShape, ForecasterConfig, ForecasterKind};

const WINDOWS: usize = 32;
const SHAPE: ForecastShape = ForecastShape { n_targets: 7, n_past: 0, n_future: 0, lookback: 336, horizon: 96 };
const STEPS: usize = 400;

fn main() {
    // After its first large block glibc keeps blocks up to that size in place of handing them back to the system:
    // without it a fifth of the time goes into page faults.
    drop(std::hint::black_box(Vec::<u8>::with_capacity((32 << 20) - 8192)));
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut threads, mut wanted) = (1, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--threads" => threads = arguments.next().and_then(|n| n.parse().ok()).expect("a number after --threads"),
            _ => wanted.push(argument),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("no thread was started yet");
    for kind in ForecasterKind::ALL {
        let config = ForecasterConfig { kind, dropout: 0.3, ..Default::default() };
        let name = format!("{kind:?}").to_lowercase();
        if wanted.is_empty() || wanted.contains(&name) {
            println!("{name} {threads} {:.0}", median_microseconds(&config));
        }
    }
}

fn median_microseconds(config: &ForecasterConfig) -> f64 {
    let device = Device::flex().autodiff();
    let model = config.init(&SHAPE, &device);
    let rows = WINDOWS * SHAPE.n_targets;
    let (past, target) = (made_up(rows * SHAPE.lookback), made_up(rows * SHAPE.horizon));
    let mut times: Vec<f64> = (0..STEPS)
        .map(|_| {
            let (past, target) = (past.clone(), target.clone());
            let start = Instant::now();
            let past = TensorData::new(past, [WINDOWS, SHAPE.n_targets, SHAPE.lookback]);
            let batch = ForecastBatch {
                past: Tensor::from_data(past, &device),
                past_covariates: Tensor::zeros([WINDOWS, 0, SHAPE.lookback], &device),
                future_covariates: Tensor::zeros([WINDOWS, 0, SHAPE.lookback + SHAPE.horizon], &device),
            };
            let target = Tensor::from_data(TensorData::new(target, [rows, SHAPE.horizon]), &device);
            let loss = config.loss(model.forward(&batch), target);
            let gradients = loss.backward();
            let seconds = start.elapsed().as_secs_f64();
            drop(gradients);
            seconds * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[STEPS / 2]
}

/// Numbers without meaning in -1..1.
fn made_up(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i.wrapping_mul(2_654_435_761) % 2048) as f32 / 1024.0 - 1.0).collect()
}
