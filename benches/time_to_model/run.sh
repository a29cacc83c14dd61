#!/usr/bin/env bash
# From data file to FINISHED run on Adult, as one cold process: wall time and peak memory of train_tabular_mlp beside a Python
# script that does the same work (peer.py: torch + scikit-learn + MLflow). Both log to a SQLite store that is there already.
#
#   PEER_PYTHON=venv/bin/python benches/time_to_model/run.sh DATA_DIR [ROUNDS] [THREADS]
#
# DATA_DIR holds adult.csv with a column `split`; the Python needs torch, scikit-learn, pandas, matplotlib and mlflow.
# Rounds alternate between the two programs. The same number of epochs for both: early stopping is off.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=$(cd "${1:?"usage: PEER_PYTHON=... $0 DATA_DIR [ROUNDS] [THREADS]"}" && pwd)
rounds=${2:-3} threads=${3:-2} epochs=20
: "${PEER_PYTHON:?"set PEER_PYTHON to a Python with torch, scikit-learn, pandas, matplotlib and mlflow"}"
cargo build --quiet --bin train_tabular_mlp
program=$(pwd)/${CARGO_TARGET_DIR:-target}/debug/train_tabular_mlp
[ -x "$program" ] || program=${CARGO_TARGET_DIR}/debug/train_tabular_mlp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# timed NAME COMMAND...: appends "NAME seconds megabytes" to the log
timed() {
    local name=$1
    shift
    python3 - "$name" "$work/log" "$@" <<'PY'
import resource, subprocess, sys, time
name, log, command = sys.argv[1], sys.argv[2], sys.argv[3:]
start = time.perf_counter()
subprocess.run(command, check=True)
seconds = time.perf_counter() - start
megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{name:6} {seconds:6.2f} s {megabytes:7.0f} MB")
open(log, "a").write(f"{name} {seconds} {megabytes}\n")
PY
}

# Making MLflow's tables takes Python seconds and is done once per project: not timed.
(cd "$work" && "$PEER_PYTHON" -c "import mlflow; mlflow.set_tracking_uri('sqlite:///$work/peer.db'); mlflow.set_experiment('adult_peer')" 2> /dev/null)

for round in $(seq "$rounds"); do
    timed ours "$program" --config configs/train_tabular_adult.yaml --csv-path "$data/adult.csv" --quiet --json \
        --set data.has_header=true --set 'data.columns=[]' --set 'baselines=[]' --set data.split.column=split --epochs "$epochs" \
        --set "training.early_stopping.patience=$epochs" --threads "$threads" --set "paths.models_dir=$work/models" \
        --set "paths.logs_dir=$work/logs" --set "paths.artifacts_dir=$work/mlruns" \
        --set "mlflow.tracking_uri=sqlite:///$work/ours.db"
    (cd "$work" && timed peer "$PEER_PYTHON" "$OLDPWD/benches/time_to_model/peer.py" "$data/adult.csv" \
        "sqlite:///$work/peer.db" "$epochs" "$round" "$threads" 2> "$work/peer.log") || { cat "$work/peer.log" >&2; exit 1; }
done
awk '{ s[$1] = s[$1] " " $2; m[$1] = m[$1] " " $3 }
    function median(list,   a, n, i, j, t) { n = split(list, a, " "); for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (a[j] + 0 < a[i] + 0) { t = a[i]; a[i] = a[j]; a[j] = t } return a[int((n + 1) / 2)] }
    END { printf "median: ours %.2f s %.0f MB, peer %.2f s %.0f MB: %.1f times as fast, %.2f of the memory\n",
        median(s["ours"]), median(m["ours"]), median(s["peer"]), median(m["peer"]), median(s["peer"]) / median(s["ours"]), median(m["ours"]) / median(m["peer"]) }' "$work/log"
