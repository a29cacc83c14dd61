//! Speed of whole training steps: rows selected, forward, loss, backward, optimizer, through `training::fit`, as a
//! program does it. Prints one line per shape: `name threads samples_per_second samples_per_cpu_second`.
//!
//! `cargo bench --profile dev --bench train_step -- --threads 1 --seconds 1.5 14x256x3@1024`
//! With no shape named all are run. `scripts/bench_speed/run.sh` sets the figures beside PyTorch's.

use std::time::{Duration, Instant};

use app::tabular::scoring::Rows;
use burn::tensor::{Device, Int, Tensor};
use modeling::{Inputs, TabularMlp, TabularMlpConfig, Task};
use training::{Next, Plan, StepEnd, StepOutput, TrainingConfig, fit};

/// Columns, width of the hidden layers, number of hidden layers.
const NETS: [(usize, usize, usize); 4] = [(14, 256, 3), (14, 512, 4), (100, 256, 3), (100, 512, 4)];
const BATCHES: [usize; 3] = [256, 1024, 4096];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut threads, mut seconds, mut wanted) = (1, 1.5, Vec::new());
    while let Some(argument) = arguments.next() {
        let mut number =
            || arguments.next().and_then(|text| text.parse::<f64>().ok()).expect("a number after the flag");
        match argument.as_str() {
            "--threads" => threads = number() as usize,
            "--seconds" => seconds = number(),
            shape => wanted.push(shape.to_owned()),
        }
    }
    app::device::use_threads(Some(threads)).expect("no tensor was made yet");
    for (columns, width, layers) in NETS {
        for batch in BATCHES {
            let name = format!("{columns}x{width}x{layers}@{batch}");
            if wanted.is_empty() || wanted.contains(&name) {
                let [wall, cpu] = speeds(columns, &vec![width; layers], batch, Duration::from_secs_f64(seconds));
                println!("{name} {threads} {wall:.0} {cpu:.0}");
            }
        }
    }
}

/// Samples per second of wall time, as the median of equal slices, and per second of the processor's time, which other work
/// on the machine disturbs less.
fn speeds(columns: usize, hidden_dims: &[usize], batch_size: usize, time: Duration) -> [f64; 2] {
    let device = Device::flex().autodiff();
    let model = TabularMlpConfig { hidden_dims: hidden_dims.to_vec(), dropout: 0.1, ..Default::default() };
    let inputs = Inputs { n_numeric: columns, n_real: columns, cardinalities: vec![] };
    let model = model.init(&inputs, 1, &device);
    let n_rows = 4 * batch_size;
    let rows = made_up_rows(n_rows, columns, &device);
    let config = TrainingConfig { epochs: usize::MAX / n_rows, batch_size, gradient_clip_norm: 0.0, ..constant() };
    let step = |model: &TabularMlp, rows_of_batch: &[u32]| {
        let batch = rows.select(rows_of_batch);
        let output = model.forward(batch.numeric, batch.categorical);
        StepOutput { loss: Task::Binary.loss(output.clone(), batch.target), output }
    };
    let slice = time / 10;
    let (mut start, mut slice_start, mut steps, mut speeds) = (Instant::now(), Instant::now(), 0, Vec::new());
    let (mut cpu_start, mut all_steps) = (0.0, 0);
    let on_step = |end: StepEnd| {
        if end.global_step <= 5 {
            start = Instant::now();
            (slice_start, steps, cpu_start) = (start, 0, cpu_seconds());
            return Next::Continue;
        }
        steps += 1;
        all_steps += 1;
        if slice_start.elapsed() >= slice {
            speeds.push((steps * batch_size) as f64 / slice_start.elapsed().as_secs_f64());
            (slice_start, steps) = (Instant::now(), 0);
        }
        if start.elapsed() < time { Next::Continue } else { Next::Stop }
    };
    let plan = Plan { config: &config, n_rows, seed: 1, resume: None, seed_epoch: &modeling::seed_dropout };
    let ended = fit(model, plan, step, on_step, |_| Ok::<_, std::io::Error>(Next::Continue));
    assert!(ended.is_ok(), "training failed");
    speeds.sort_by(f64::total_cmp);
    [speeds[speeds.len() / 2], (all_steps * batch_size) as f64 / (cpu_seconds() - cpu_start)]
}

/// Processor time of this process in steps of 10 ms, from Linux's `/proc`; NaN elsewhere.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in brackets: field 3 and on; user and system time are fields 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    if ticks.len() == 2 { (ticks[0] + ticks[1]) / 100.0 } else { f64::NAN }
}

fn constant() -> TrainingConfig {
    TrainingConfig { schedule: training::Schedule::Constant, warmup_epochs: 0.0, ..Default::default() }
}

/// Numbers without meaning in -1..1, and a target that depends on the first two columns.
fn made_up_rows(n_rows: usize, columns: usize, device: &Device) -> Rows {
    let numbers: Vec<f32> =
        (0..n_rows * columns).map(|i| (i.wrapping_mul(2_654_435_761) % 2048) as f32 / 1024.0 - 1.0).collect();
    let target: Vec<f32> = numbers.chunks(columns).map(|row| f32::from(row[0] + row[1] > 0.0)).collect();
    Rows {
        numeric: Tensor::<1>::from_floats(numbers.as_slice(), device).reshape([n_rows, columns]),
        categorical: Tensor::<2, Int>::zeros([n_rows, 0], device),
        target: Tensor::from_floats(target.as_slice(), device),
    }
}
