#!/usr/bin/env bash
# A whole study on Adult, 20 trials of 5 epochs, as one cold process: trials per minute and best validation AUC of `tune` beside
# Optuna + PyTorch + MLflow (peer.py) on the same cores. Both keep the study and the runs in SQLite databases that are there.
#
#   PEER_PYTHON=venv/bin/python benches/tuning/study/run.sh DATA_DIR [ROUNDS] [THREADS]
#
# DATA_DIR holds adult.csv with a column `split`; the Python needs torch, scikit-learn, pandas, optuna and mlflow.
# Rounds alternate between the two, each with another seed of the sampler.
set -euo pipefail
cd "$(dirname "$0")/../../.."
data=$(cd "${1:?"usage: PEER_PYTHON=... $0 DATA_DIR [ROUNDS] [THREADS]"}" && pwd)
rounds=${2:-3} threads=${3:-2} trials=20 epochs=5
: "${PEER_PYTHON:?"set PEER_PYTHON to a Python with torch, scikit-learn, pandas, optuna and mlflow"}"
cargo build --quiet -p app --bins
program=$(realpath "${CARGO_TARGET_DIR:-target}/debug/tune")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Making MLflow's tables takes Python seconds and is done once per project: not timed.
"$PEER_PYTHON" -c "import mlflow; mlflow.set_tracking_uri('sqlite:///$work/peer.db'); mlflow.set_experiment('tune_adult')" 2> /dev/null

for round in $(seq "$rounds"); do
    rm -f "$work/optuna.db"
    start=$(date +%s.%N)
    best=$("$program" --config benches/tuning/study/adult.yaml --quiet --json --seed "$round" --threads "$threads" \
        --set "set=[data.path=$data/adult.csv, data.url=null, data.sha256=null, training.epochs=$epochs, training.early_stopping.patience=$epochs, data.has_header=true, 'data.columns=[]', data.split.column=split]" \
        --storage "sqlite:///$work/tune.db" --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" \
        --set "paths.artifacts_dir=$work/mlruns" --set "paths.spool_dir=$work/spool" --set "mlflow.tracking_uri=sqlite:///$work/ours.db" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["best"]["values"][0])')
    echo "ours $(date +%s.%N) $start $best" | tee -a "$work/log" >&2
    start=$(date +%s.%N)
    best=$("$PEER_PYTHON" benches/tuning/study/peer.py "$data/adult.csv" "$work" $trials $epochs "$round" "$threads" 2> "$work/peer.err") ||
        { cat "$work/peer.err" >&2; exit 1; }
    echo "peer $(date +%s.%N) $start $best" | tee -a "$work/log" >&2
done
rm -f configs/best_adult*.yaml
python3 - "$work/log" $trials <<'PY'
import statistics, sys
rows = [line.split() for line in open(sys.argv[1])]
of = {who: [(60 * int(sys.argv[2]) / (float(end) - float(start)), float(best)) for name, end, start, best in rows if name == who]
      for who in ("ours", "peer")}
speed = {who: statistics.median(s for s, _ in found) for who, found in of.items()}
best = {who: statistics.median(b for _, b in found) for who, found in of.items()}
print("| | trials per minute | best val AUC |\n|---|---|---|")
for who, name in (("ours", "tune"), ("peer", "Optuna + PyTorch")):
    print(f"| {name} | {speed[who]:.1f} | {best[who]:.4f} |")
print(f"\n{speed['ours'] / speed['peer']:.1f} times as many trials per minute (medians of {len(of['ours'])} rounds)")
PY
