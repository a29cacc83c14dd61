//! How long one prediction takes.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

const WARM_UP: usize = 20;
const CALLS: usize = 300;

/// Milliseconds from one raw row (or window) to its prediction, with the model in memory.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Half of the calls take no longer.
    pub p50: f64,
    /// 99 of 100 calls take no longer.
    pub p99: f64,
}

/// Calls `predict` with `0..n_rows` in turn, one row at a time.
pub fn measure(n_rows: usize, mut predict: impl FnMut(u32) -> Result<()>) -> Result<Option<Latency>> {
    if n_rows == 0 {
        return Ok(None);
    }
    let mut times = Vec::with_capacity(CALLS);
    for call in 0..WARM_UP + CALLS {
        let start = Instant::now();
        predict((call % n_rows) as u32)?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    let mut times = times.split_off(WARM_UP);
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((CALLS - 1) as f64 * share).ceil() as usize];
    Ok(Some(Latency { p50: at(0.5), p99: at(0.99) }))
}
