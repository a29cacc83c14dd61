//! The machine's load beside the metrics of a run, under MLflow's names and in its units.
//!
//! All figures are about the whole machine, as MLflow's are: not about this process, and not about a container's limits.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sysinfo::{MemoryRefreshKind, Networks, System};

use crate::variables::{Variables, environment};
use crate::{Error, Result};

/// Two readings of the CPU counters that are closer than this say nothing.
const SHORTEST_INTERVAL: Duration = sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;

/// Whether and how often the machine is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemMetricsOptions {
    /// Whether a run logs system metrics at all. [`Sampler::start`] does not ask.
    pub enabled: bool,
    /// Time between two samples, at least 200 ms.
    pub sampling_interval: Duration,
    /// How many samples make one point: their mean, or the last total of the network.
    pub samples_before_logging: u32,
    /// Name of this machine among several that log to one run: `system/NODE_ID/cpu_utilization_percentage`.
    pub node_id: Option<String>,
}

impl Default for SystemMetricsOptions {
    /// Off; every 10 s, each sample a point, as MLflow does.
    fn default() -> Self {
        Self { enabled: false, sampling_interval: Duration::from_secs(10), samples_before_logging: 1, node_id: None }
    }
}

impl SystemMetricsOptions {
    /// Reads MLflow's environment variables: `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING`,
    /// `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` (seconds), `MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING`,
    /// `MLFLOW_SYSTEM_METRICS_NODE_ID`. Errors name the bad variable.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(environment)
    }

    /// [`SystemMetricsOptions::from_env`] with another source of variables, e.g. a map.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variables = Variables(variable);
        let default = Self::default();
        let name = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL";
        let sampling_interval = match variables.number::<f64>(name, "a number of seconds")? {
            // MLflow takes 0 for "not set".
            None | Some(0.0) => default.sampling_interval,
            Some(seconds) => Duration::try_from_secs_f64(seconds)
                .map_err(|_| Error::Invalid(format!("{name}: `{seconds}` is not a number of seconds")))?,
        };
        let samples = variables.number("MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "a whole number")?;
        let options = Self {
            enabled: variables.flag("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING")?.unwrap_or(default.enabled),
            sampling_interval,
            samples_before_logging: samples.filter(|count| *count > 0).unwrap_or(default.samples_before_logging),
            node_id: variables.text("MLFLOW_SYSTEM_METRICS_NODE_ID"),
        };
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        if self.sampling_interval < SHORTEST_INTERVAL || self.samples_before_logging == 0 {
            return Err(Error::Invalid(format!(
                "system metrics every {} s, {} samples to a point. Hint: at least {} s \
                 (MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL) and 1 sample",
                self.sampling_interval.as_secs_f64(),
                self.samples_before_logging,
                SHORTEST_INTERVAL.as_secs_f64(),
            )));
        }
        Ok(())
    }
}

/// A thread that looks at the machine at fixed intervals. It ends, at once, when this is stopped or dropped.
pub struct Sampler {
    /// Nothing is ever sent: the thread ends when this is gone.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").field("running", &self.thread.is_some()).finish()
    }
}

impl Sampler {
    /// Calls `log` with the names and values of one point, and its step: `first_step`, then one more each time. The
    /// first call comes after `samples_before_logging` intervals.
    ///
    /// `log` runs on the sampler's thread, and stopping waits for it. Errors with `Invalid` for options out of range.
    pub fn start(
        options: &SystemMetricsOptions,
        first_step: i64,
        log: impl Fn(&[(String, f64)], i64) + Send + 'static,
    ) -> Result<Self> {
        options.check()?;
        let options = options.clone();
        let (stop, stopped) = channel::<()>();
        let mut probe = Probe::new();
        let work = move || {
            let mut step = first_step;
            let mut samples = Vec::new();
            while stopped.recv_timeout(options.sampling_interval) == Err(RecvTimeoutError::Timeout) {
                samples.push(probe.sample());
                if samples.len() >= options.samples_before_logging as usize {
                    log(&point(&samples, options.node_id.as_deref()), step);
                    samples.clear();
                    step += 1;
                }
            }
        };
        let thread = thread::Builder::new().name("system-metrics".into()).spawn(work);
        let thread = thread.map_err(|error| Error::Unavailable {
            message: format!("cannot start thread `system-metrics`: {error}"),
            retry_after_s: None,
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Ends the thread and waits for it. Samples that do not make a point yet are lost.
    pub fn stop(&mut self) {
        self.stop = None;
        let Some(thread) = self.thread.take() else { return };
        // `log` may hold the last handle of what owns this sampler: a thread cannot wait for itself.
        if thread.thread().id() != thread::current().id() {
            // A panic in `log` has been reported by the panic hook, and there is nothing else to lose here.
            let _ = thread.join();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Values of one moment, by MLflow's name without `system/`.
type Sample = Vec<(&'static str, f64)>;

/// Reads the machine's counters.
struct Probe {
    system: System,
    networks: Networks,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Probe {
    fn new() -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self { system, networks: Networks::new_with_refreshed_list(), received_bytes: 0, sent_bytes: 0 }
    }

    /// CPU: since the sample before. Network: since the probe was made.
    fn sample(&mut self) -> Sample {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        self.networks.refresh(true);
        for interface in self.networks.values() {
            self.received_bytes += interface.received();
            self.sent_bytes += interface.transmitted();
        }
        let (used, total) = (self.system.used_memory() as f64, self.system.total_memory() as f64);
        let mut sample = vec![
            ("cpu_utilization_percentage", f64::from(self.system.global_cpu_usage())),
            ("system_memory_usage_megabytes", used / 1e6),
            ("system_memory_usage_percentage", percentage(used, total)),
        ];
        sample.extend(disk());
        sample.push(("network_receive_megabytes", self.received_bytes as f64 / 1e6));
        sample.push(("network_transmit_megabytes", self.sent_bytes as f64 / 1e6));
        sample
    }
}

/// The file system at `/`. Space that is kept for the system is neither used nor available, as in `df`; `sysinfo` knows
/// only what is available.
#[cfg(unix)]
fn disk() -> Sample {
    let Ok(disk) = rustix::fs::statvfs("/") else { return Vec::new() };
    let bytes = |blocks: u64| blocks as f64 * disk.f_frsize as f64;
    let (used, available) = (bytes(disk.f_blocks.saturating_sub(disk.f_bfree)), bytes(disk.f_bavail));
    vec![
        ("disk_usage_percentage", percentage(used, used + available)),
        ("disk_usage_megabytes", used / 1e6),
        ("disk_available_megabytes", available / 1e6),
    ]
}

/// Not known elsewhere.
#[cfg(not(unix))]
fn disk() -> Sample {
    Vec::new()
}

fn percentage(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

/// Means to one decimal, and the last totals of the network, as MLflow writes them.
fn point(samples: &[Sample], node_id: Option<&str>) -> Vec<(String, f64)> {
    let prefix = node_id.map_or("system/".to_string(), |node| format!("system/{node}/"));
    let last = samples.last().map_or(&[][..], Vec::as_slice);
    let value = |name: &str, last: f64| {
        if name.starts_with("network") {
            return last;
        }
        let values = samples.iter().flatten().filter(|(other, _)| *other == name);
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), (_, value)| (sum + value, count + 1.0));
        (10.0_f64 * sum / count).round() / 10.0
    };
    last.iter().map(|(name, last)| (format!("{prefix}{name}"), value(name, *last))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_the_mean_of_its_samples_and_the_last_total() {
        let samples = [
            vec![("cpu_utilization_percentage", 10.0), ("network_receive_megabytes", 1.25)],
            vec![("cpu_utilization_percentage", 20.13), ("network_receive_megabytes", 2.7512)],
        ];
        let expected =
            [("system/n1/cpu_utilization_percentage", 15.1), ("system/n1/network_receive_megabytes", 2.7512)];
        assert_eq!(point(&samples, Some("n1")), expected.map(|(name, value)| (name.to_string(), value)));
        assert_eq!(point(&samples[..1], None)[0].0, "system/cpu_utilization_percentage");
    }

    #[test]
    fn variables_have_mlflows_names_and_meaning() {
        let read = |name: &'static str, value: &'static str| {
            SystemMetricsOptions::from_variables(move |asked| (asked == name).then(|| value.to_string()))
        };
        let default = SystemMetricsOptions::default();
        let read_well = |name, value| read(name, value).unwrap_or_else(|error| panic!("{name}={value}: {error}"));
        assert_eq!(read_well("OTHER", "1"), default);
        assert!(read_well("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").enabled);
        let interval = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL";
        assert_eq!(read_well(interval, "2.5").sampling_interval, Duration::from_millis(2500));
        assert_eq!(read_well(interval, "0"), default);
        let samples = "MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING";
        assert_eq!(read_well(samples, "6").samples_before_logging, 6);
        assert_eq!(read_well(samples, "0"), default);
        assert_eq!(read_well("MLFLOW_SYSTEM_METRICS_NODE_ID", "n1").node_id.as_deref(), Some("n1"));
        for (name, value) in [(interval, "-1"), (interval, "nan"), (interval, "0.05"), (interval, "x"), (samples, "-2")]
        {
            let error = read(name, value).expect_err(value).to_string();
            assert!(error.contains(name) || error.contains("0.05"), "{error}");
        }
    }
}
