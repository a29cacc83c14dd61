"""MLflow's own client at the work of crates/tracking/benches/client.rs: one measure per call, lines `name value`.

    peer.py create DATABASE      an empty store
    peer.py caller DATABASE      nanoseconds of one log_metric, asynchronous and not
    peer.py points DATABASE      points per second until they can be read, SQLite store
    peer.py server URI           the same through a server
    peer.py search DATABASE      milliseconds to find some of the runs that `client fill` has made
    peer.py exit DATABASE        seconds from the last point to the end of the process, asynchronous
    peer.py gone URI FOLDER      the same after the server has gone: makes FOLDER/peer.ready, waits for FOLDER/gone
"""

import atexit
import statistics
import sys
import time
from pathlib import Path

import mlflow
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

POINTS = 50_000
POINTS_TO_SERVER = 20_000
CALLS = 300
# A tenth of ours: it takes minutes otherwise.
BACKLOG = 10_000
METRICS = ["train_loss", "val_loss", "val_auc", "lr", "grad_norm"]


def create(uri):
    MlflowClient(uri).get_experiment("0")


def time_calls(synchronous):
    times = []
    for index in range(CALLS):
        start = time.perf_counter_ns()
        mlflow.log_metric(METRICS[index % 5], float(index), step=index // 5, synchronous=synchronous)
        times.append(time.perf_counter_ns() - start)
    times.sort()
    return times[CALLS // 2], times[CALLS // 100 * 99]


def caller(uri):
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run():
        # The first calls of a run look up its experiment, start threads, ...
        mlflow.log_metric("warm_up", 0.0, synchronous=False).wait()
        for name, synchronous in (("async", False), ("sync", True)):
            median, p99 = time_calls(synchronous)
            print(f"caller_{name}_median_ns {median}")
            print(f"caller_{name}_p99_ns {p99}")
            mlflow.flush_async_logging()


def write(client, points):
    """Batches of 1000, the most that MLflow takes. Fails unless all points can be read then."""
    run_id = client.create_run("0").info.run_id
    now = 1_700_000_000_000
    point = lambda index: Metric(METRICS[index % 5], 1 / (1 + index), now + index // 5, index // 5)
    batches = [[point(index) for index in range(start, start + 1000)] for start in range(0, points, 1000)]
    start, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        client.log_batch(run_id, metrics=batch)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    found = sum(len(client.get_metric_history(run_id, key)) for key in METRICS)
    assert found == points, f"{found} points can be read"
    return seconds, cpu


def points(uri):
    seconds, cpu = write(MlflowClient(uri), POINTS)
    print(f"log_batch_points_per_s {POINTS / seconds:.0f}")
    print(f"log_batch_cpu_us {cpu / POINTS * 1e6:.2f}")


def server(uri):
    seconds, _ = write(MlflowClient(uri), POINTS_TO_SERVER)
    print(f"server_points_per_s {POINTS_TO_SERVER / seconds:.0f}")


def search(uri):
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    for name, filter_string, max_results in [
        ("search_top_100", "", 100),
        ("search_page_1000", "", 1_000),
        ("search_filter_100", "metrics.m0 > 0.5 and params.p1 = '1'", 100),
    ]:
        def frame():
            return mlflow.search_runs(["0"], filter_string, max_results=max_results, order_by=["metrics.m3 DESC"])

        def entities():
            return client.search_runs(["0"], filter_string, max_results=max_results, order_by=["metrics.m3 DESC"])

        for kind, find in (("", frame), ("_client", entities)):
            times = []
            for _ in range(3):
                start = time.perf_counter()
                assert len(find()) == max_results
                times.append((time.perf_counter() - start) * 1e3)
            print(f"{name}{kind}_ms {statistics.median(times):.2f}")


def log_steps(points):
    for step in range(points // 5):
        mlflow.log_metrics({key: float(step) for key in METRICS}, step=step, synchronous=False)


def exit(uri):
    mlflow.set_tracking_uri(uri)
    time_to_exit("exit", BACKLOG, mlflow.start_run().info.run_id)


def gone(uri, folder):
    mlflow.set_tracking_uri(uri)
    run_id = mlflow.start_run().info.run_id
    Path(folder, "peer.ready").touch()
    while not Path(folder, "gone").exists():
        time.sleep(0.05)
    time_to_exit("exit_gone", BACKLOG, run_id)


def time_to_exit(name, points, run_id):
    """As a script that has reached its last lines: the time until the handlers that MLflow registers have run."""
    began = []

    def report():
        seconds = time.perf_counter() - began[0]
        print(f"{name}_s {seconds:.2f}", flush=True)
        stored = sum(len(MlflowClient().get_metric_history(run_id, key)) for key in METRICS)
        print(f"{name}_lost {points - stored}", flush=True)

    # Handlers run last one first: this one, registered before MLflow's, runs after them.
    atexit.register(report)
    log_steps(points)
    began.append(time.perf_counter())
    mlflow.end_run()


measure, place, *rest = sys.argv[1:]
uri = place if place.startswith("http") else f"sqlite:///{place}"
globals()[measure](uri, *rest)
