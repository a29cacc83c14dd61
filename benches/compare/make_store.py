#!/usr/bin/env python3
"""Makes a database of MLflow with one experiment, `bench`, of many finished runs: make_store.py FILE.

MLflow creates the file; the rows go in directly, because its own client needs an hour for them. The same environment makes
the same runs: RUNS (10000), METRICS (20, the first is `val_auc`), POINTS of each (10), PARAMS (20).
"""
import os
import pathlib
import random
import sqlite3
import sys
import uuid

RUNS = int(os.environ.get("RUNS", "10000"))
METRICS = int(os.environ.get("METRICS", "20"))
POINTS = int(os.environ.get("POINTS", "10"))
PARAMS = int(os.environ.get("PARAMS", "20"))
BEGIN_MS = 1_700_000_000_000
MINUTE_MS = 60_000

METRIC_NAMES = ["val_auc", *(f"metric_{index:02}" for index in range(1, METRICS))]
PARAM_NAMES = ["learning_rate", *(f"param_{index:02}" for index in range(1, PARAMS))]


def curve(rng):
    """A noisy rise to a plateau: the best point is seldom the last one."""
    plateau = rng.uniform(0.5, 0.99)
    return [plateau * (1.0 - 0.5 / (step + 1.0)) + rng.gauss(0.0, 0.005) for step in range(POINTS)]


def insert_run(db, rng, index, folder):
    run_id = uuid.UUID(int=rng.getrandbits(128), version=4).hex
    start = BEGIN_MS + index * MINUTE_MS
    uri = f"{folder}/{run_id}/artifacts"
    db.execute(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,"
        " end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
        " VALUES (?, ?, 'UNKNOWN', '', '', 'bench', 'FINISHED', ?, ?, '', 'active', ?, ?)",
        (run_id, f"run-{index:05}", start, start + MINUTE_MS, uri, EXPERIMENT_ID),
    )
    tags = [("mlflow.runName", f"run-{index:05}"), ("mlflow.user", "bench"), ("kind", "train")]
    db.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", [(*tag, run_id) for tag in tags])
    params = [(name, f"{rng.random():.6f}", run_id) for name in PARAM_NAMES]
    db.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", params)
    points, latest = [], []
    for name in METRIC_NAMES:
        rows = [(name, value, start + step * 1000, run_id, step, 0) for step, value in enumerate(curve(rng))]
        points += rows
        latest.append(rows[-1])
    columns = "(key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)"
    db.executemany(f"INSERT INTO metrics {columns}", points)
    db.executemany(f"INSERT INTO latest_metrics {columns}", latest)


EXPERIMENT_ID = 1


def main():
    path = pathlib.Path(sys.argv[1]).resolve()
    import mlflow  # slow: only when it is needed

    mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    folder = f"{path.parent}/mlruns/{EXPERIMENT_ID}"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -500000")
    db.execute("BEGIN")
    db.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time)"
        " VALUES (?, 'bench', ?, 'active', ?, ?)",
        (EXPERIMENT_ID, folder, BEGIN_MS, BEGIN_MS),
    )
    rng = random.Random(0)
    for index in range(RUNS):
        insert_run(db, rng, index, folder)
    db.execute("COMMIT")
    print(f"{path}: {RUNS} runs, {METRICS} metrics of {POINTS} points, {PARAMS} params, {path.stat().st_size >> 20} MiB")


if __name__ == "__main__":
    main()
