#!/usr/bin/env bash
# The best 20 of 10,000 runs as a table, each time as one cold process: wall time and peak memory of compare_runs beside a
# Python script that does it with `mlflow.search_runs` and pandas (peer.py), turn by turn on copies of one SQLite file.
#
#   MLFLOW_PYTHON=venv/bin/python benches/compare/run.sh [ROUNDS]
#
# RUNS, METRICS, POINTS and PARAMS change the file (make_store.py). It is kept in STORE_DIR for the next time where that is
# set. Ours is what a plain `cargo run` builds; PROGRAM names another one.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(realpath -s "${MLFLOW_PYTHON:?"set MLFLOW_PYTHON to a Python that has mlflow and pandas"}")
rounds=${1:-5}
here=$(pwd)/benches/compare
if [ -z "${PROGRAM:-}" ]; then
    cargo build --quiet --bin compare_runs
    PROGRAM=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/compare_runs
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MLFLOW_DISABLE_TELEMETRY=true

store=$(realpath -m "${STORE_DIR:-$work}")/runs-${RUNS:-10000}-${METRICS:-20}-${POINTS:-10}-${PARAMS:-20}.db
if [ ! -f "$store" ]; then
    mkdir -p "$(dirname "$store")"
    "$python" "$here/make_store.py" "$store.part" 2> "$work/make.log" || { cat "$work/make.log" >&2; exit 1; }
    mv "$store.part" "$store"
fi
# Each has a file of its own: what one of them leaves in it must not help the other.
cp "$store" "$work/ours.db"
cp "$store" "$work/peer.db"
sync

# timed NAME COMMAND...: appends "NAME seconds megabytes" to the log, the output goes to NAME.txt
timed() {
    local name=$1
    shift
    "$python" - "$name" "$work" "$@" <<'PY'
import resource, subprocess, sys, time
name, work, command = sys.argv[1], sys.argv[2], sys.argv[3:]
with open(f"{work}/{name}.txt", "w") as out, open(f"{work}/{name}.err", "w") as err:
    start = time.perf_counter()
    code = subprocess.run(command, stdout=out, stderr=err, cwd=work).returncode
    seconds = time.perf_counter() - start
if code:
    sys.exit(f"error: {name} ended with {code}: {open(f'{work}/{name}.err').read()}")
megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{name:6} {seconds:7.3f} s {megabytes:7.1f} MB")
open(f"{work}/log", "a").write(f"{name} {seconds} {megabytes}\n")
PY
}

# The first turn of each warms the caches of the system and does not count.
for round in $(seq 0 "$rounds"); do
    MLFLOW_TRACKING_URI=sqlite:///$work/ours.db timed ours "$PROGRAM" --config "$here/../../configs/compare_runs.yaml" --experiment bench --metric val_auc --top 20
    MLFLOW_TRACKING_URI=sqlite:///$work/peer.db timed peer "$python" "$here/peer.py" bench val_auc 20
    [ "$round" != 0 ] || rm "$work/log"
done
"$python" - "$work/log" <<'PY'
import statistics, sys
rows = [line.split() for line in open(sys.argv[1])]
median = lambda name, column: statistics.median(float(row[column]) for row in rows if row[0] == name)
ours, peer = ([median(name, column) for column in (1, 2)] for name in ("ours", "peer"))
print(
    f"median of {len(rows) // 2}: ours {ours[0]:.3f} s {ours[1]:.1f} MB, peer {peer[0]:.2f} s {peer[1]:.0f} MB: "
    f"{peer[0] / ours[0]:.1f} times as fast, {ours[1] / peer[1]:.3f} of the memory"
)
PY
