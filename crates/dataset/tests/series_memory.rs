//! Windows are views: a look-back a hundred times longer takes no more memory. A test file of its own, since it looks
//! at the peak of the whole process.

#![allow(clippy::unwrap_used)]

mod support;

use dataset::*;
use support::*;

/// The most memory that this process ever had, in kB; `None` where the system does not tell.
fn peak_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// 200,000 hours. Copies of all windows with a look-back of 2,400 would take 1.9 GB as `f32`.
#[test]
fn memory_does_not_grow_with_the_look_back() {
    let (_folder, data) = file(&hourly(200_000, |i| (i * 37 % 1001).to_string()));
    // A batch is as large as its windows, so it is to have few channels here.
    let calendar = Some(vec![DatetimePart::IsWeekend]);
    let features = SeriesFeaturesConfig { lags: vec![24, 168], calendar, ..SeriesFeaturesConfig::default() };
    let prepare = |lookback| {
        let splits = SeriesSource::open(&data, &features, &windows(lookback, 24)).unwrap().splits().unwrap();
        let batch = splits.batch(&splits.test[..32]);
        assert_eq!(batch.past.len(), 32 * lookback);
        splits.train.len()
    };
    let short = prepare(24);
    let Some(before) = peak_kb() else {
        println!("SKIPPED: this system does not tell the peak of memory");
        return;
    };
    let long = prepare(2400);
    let grown = peak_kb().unwrap() - before;
    println!("{before} kB at the peak with a look-back of 24, {grown} kB more with 2,400");
    assert_eq!(short - long, 2376 - 168 + 168, "the first windows");
    assert!(grown < 8 * 1024, "{grown} kB more for windows of 2,400 steps");
}
