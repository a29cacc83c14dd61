//! System metrics against what the kernel, `free`, `df` and psutil say at the same time, and what they cost.
//!
//! Figures are compared where their source is there. psutil is asked when `MLFLOW_PYTHON` names a Python that has it.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tracking::{Error, Sampler, SystemMetricsOptions};

type Point = BTreeMap<String, f64>;

/// Of the memory and of the disk, in MB: other programs run beside the tests.
const TOLERANCE_MB: f64 = 200.0;

fn options(interval_ms: u64) -> SystemMetricsOptions {
    SystemMetricsOptions { sampling_interval: Duration::from_millis(interval_ms), ..SystemMetricsOptions::default() }
}

/// A sampler, and its points with their steps.
fn start(options: &SystemMetricsOptions, first_step: i64) -> (Sampler, Receiver<(Point, i64)>) {
    let (points, received) = channel();
    let log = move |values: &[(String, f64)], step| {
        // The test may have heard enough.
        let _ = points.send((values.iter().cloned().collect(), step));
    };
    (Sampler::start(options, first_step, log).expect("starts"), received)
}

fn next(points: &Receiver<(Point, i64)>) -> (Point, i64) {
    points.recv_timeout(Duration::from_secs(60)).expect("a point")
}

/// The output of a program; `None`, with a word about it, when it is not there.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).env("LC_ALL", "C").output() {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        other => {
            eprintln!("skipped: `{program}` cannot be asked: {other:?}");
            None
        }
    }
}

/// The numbers of the line that begins with `label`.
fn numbers(text: &str, label: &str) -> Vec<f64> {
    let line =
        text.lines().find(|line| line.trim_start().starts_with(label)).unwrap_or_else(|| panic!("{label}: {text}"));
    line.split_whitespace().filter_map(|word| word.trim_end_matches('%').parse().ok()).collect()
}

fn assert_near(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance, "{what}: {ours}, and {theirs} by the other source");
}

#[test]
fn every_figure_has_mlflows_name_and_steps_go_on() {
    let with_node = SystemMetricsOptions { node_id: Some("n1".into()), samples_before_logging: 2, ..options(200) };
    let (_sampler, points) = start(&with_node, 7);
    let begin = Instant::now();
    let (first, step) = next(&points);
    assert!(begin.elapsed() >= Duration::from_millis(390), "{:?}", begin.elapsed());
    let names: Vec<&str> = first.keys().map(|name| name.strip_prefix("system/n1/").expect("the node")).collect();
    assert_eq!(
        names,
        [
            "cpu_utilization_percentage",
            "disk_available_megabytes",
            "disk_usage_megabytes",
            "disk_usage_percentage",
            "network_receive_megabytes",
            "network_transmit_megabytes",
            "system_memory_usage_megabytes",
            "system_memory_usage_percentage",
        ]
    );
    assert_eq!((step, next(&points).1, next(&points).1), (7, 8, 9));
}

#[test]
fn memory_and_disk_are_what_free_and_df_say() {
    let (_sampler, points) = start(&options(200), 0);
    let (point, _) = next(&points);
    let meminfo = fs::read_to_string("/proc/meminfo").expect("figures");
    let (total, available) = (numbers(&meminfo, "MemTotal:")[0], numbers(&meminfo, "MemAvailable:")[0]);
    let used_mb = point["system/system_memory_usage_megabytes"];
    assert_near("memory, kernel", used_mb, (total - available) * 1024.0 / 1e6, TOLERANCE_MB);
    let share = point["system/system_memory_usage_percentage"];
    assert_near("memory share", share, 100.0 * (total - available) / total, 2.0);
    if let Some(free) = output("free", &["-b"]) {
        let memory = numbers(&free, "Mem:");
        assert_near("memory, free", used_mb, (memory[0] - memory[5]) / 1e6, TOLERANCE_MB);
    }
    if let Some(df) = output("df", &["-B1", "--output=used,avail,pcent", "/"]) {
        let disk = df.lines().nth(1).map(|line| numbers(line, "")).expect("a line");
        assert_near("disk used", point["system/disk_usage_megabytes"], disk[0] / 1e6, TOLERANCE_MB);
        assert_near("disk available", point["system/disk_available_megabytes"], disk[1] / 1e6, TOLERANCE_MB);
        // `df` rounds up.
        assert_near("disk share", point["system/disk_usage_percentage"], disk[2] - 0.5, 1.0);
    }
}

#[test]
fn figures_are_what_psutil_says() {
    let Ok(python) = env::var("MLFLOW_PYTHON") else {
        eprintln!("skipped: MLFLOW_PYTHON is not set");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/psutil_figures.py");
    let (_sampler, points) = start(&options(200), 0);
    let Some(text) = output(&python, &[script.to_str().expect("a path")]) else { return };
    let theirs: Point = serde_json::from_str(&text).expect("figures");
    if theirs.is_empty() {
        eprintln!("skipped: `{python}` has no psutil");
        return;
    }
    while points.try_recv().is_ok() {}
    let (ours, _) = next(&points);
    assert_eq!(theirs.len(), 5);
    for (name, theirs) in &theirs {
        let tolerance = if name.ends_with("percentage") { 2.0 } else { TOLERANCE_MB };
        assert_near(name, ours[name], *theirs, tolerance);
    }
}

/// (busy, all) ticks of all cores since the start of the machine.
fn cpu_ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").expect("figures");
    let ticks = numbers(&stat, "cpu ");
    // user nice system idle iowait irq softirq steal; what guests take is in `user` already.
    let all: f64 = ticks[..8].iter().sum();
    (all - ticks[3] - ticks[4], all)
}

/// (received, sent) bytes of all interfaces.
fn network_bytes() -> (f64, f64) {
    let text = fs::read_to_string("/proc/net/dev").expect("figures");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.fold((0.0, 0.0), |(received, sent), (_, figures)| {
        let figures: Vec<f64> = figures.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        (received + figures[0], sent + figures[8])
    })
}

fn send_over_loopback(megabytes: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut sender = TcpStream::connect(listener.local_addr().expect("an address")).expect("connects");
    let (mut receiver, _) = listener.accept().expect("accepts");
    let reading = thread::spawn(move || receiver.read_to_end(&mut Vec::new()).expect("reads"));
    (0..megabytes).for_each(|_| sender.write_all(&[7; 1_000_000]).expect("writes"));
    drop(sender);
    assert_eq!(reading.join().expect("ends"), megabytes * 1_000_000);
}

#[test]
fn cpu_and_network_are_what_the_kernel_counts_meanwhile() {
    let (busy, all) = cpu_ticks();
    let (received, sent) = network_bytes();
    let (_sampler, points) = start(&options(1500), 0);
    let begin = Instant::now();
    send_over_loopback(50);
    while begin.elapsed() < Duration::from_millis(1000) {
        std::hint::spin_loop();
    }
    let (point, _) = next(&points);
    let (busy_after, all_after) = cpu_ticks();
    let (received_after, sent_after) = network_bytes();
    let cpu = point["system/cpu_utilization_percentage"];
    assert_near("CPU", cpu, 100.0 * (busy_after - busy) / (all_after - all), 10.0);
    assert!(cpu > 0.0 && cpu <= 100.0, "{cpu}");
    let megabytes = (point["system/network_receive_megabytes"], point["system/network_transmit_megabytes"]);
    assert!(megabytes.0 >= 50.0 && megabytes.1 >= 50.0, "{megabytes:?}");
    // The counters are read a moment apart.
    assert_near("received", megabytes.0, (received_after - received) / 1e6, 10.0);
    assert_near("sent", megabytes.1, (sent_after - sent) / 1e6, 10.0);
}

#[test]
fn stopping_takes_no_time() {
    let (mut stopped, points) = start(&options(60_000), 0);
    let (dropped, _points) = start(&options(60_000), 0);
    thread::sleep(Duration::from_millis(50));
    let begin = Instant::now();
    stopped.stop();
    stopped.stop();
    drop(dropped);
    assert!(begin.elapsed() < Duration::from_millis(100), "{:?}", begin.elapsed());
    // The thread is gone, and the closure with it.
    assert!(points.recv().is_err());
}

#[test]
fn what_is_logged_may_end_the_sampler() {
    let owner: Arc<Mutex<Option<Sampler>>> = Arc::default();
    let (ended, end) = channel();
    let seen = owner.clone();
    let log = move |_: &[(String, f64)], _| {
        drop(seen.lock().expect("a lock").take());
        ended.send(()).expect("the test waits");
    };
    let mut held = owner.lock().expect("a lock");
    *held = Some(Sampler::start(&options(200), 0, log).expect("starts"));
    drop(held);
    end.recv_timeout(Duration::from_secs(60)).expect("ends");
    assert!(end.recv_timeout(Duration::from_secs(60)).is_err(), "a second point");
}

#[test]
fn options_out_of_range_are_refused() {
    for bad in [options(100), SystemMetricsOptions { samples_before_logging: 0, ..options(200) }] {
        let error = Sampler::start(&bad, 0, |_, _| {}).expect_err("refused");
        assert!(matches!(&error, Error::Invalid(message) if message.contains("Hint")), "{error:?}");
    }
}

/// CPU time of the calling thread.
fn thread_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[test]
fn a_sample_costs_next_to_nothing() {
    if thread_time().is_none() {
        eprintln!("skipped: this kernel does not count the CPU time of a thread");
        return;
    }
    let (times, received) = channel();
    let log = move |_: &[(String, f64)], _| {
        // Runs on the sampler's thread. The test may have heard enough.
        let _ = times.send(thread_time().unwrap_or_default());
    };
    let _sampler = Sampler::start(&options(200), 0, log).expect("starts");
    let times: Vec<Duration> = received.iter().take(11).collect();
    let per_sample = (times[10] - times[0]) / 10;
    let share = 100.0 * per_sample.as_secs_f64() / SystemMetricsOptions::default().sampling_interval.as_secs_f64();
    println!("{per_sample:?} of CPU time for a sample: {share:.4} % of a core at the default interval");
    // 1 % of a core even at ten times the default rate.
    assert!(per_sample < Duration::from_millis(10), "{per_sample:?}");
}
