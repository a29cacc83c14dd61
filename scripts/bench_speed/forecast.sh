#!/usr/bin/env bash
# One epoch of DLinear and of an MLP on ETTh1 (look-back 336, horizon 96, batch 32) beside PyTorch's, turn by turn on the same
# machine: training windows per second, as a Markdown table.
#
#   PYTORCH_PYTHON=path/to/python scripts/bench_speed/forecast.sh DATA_DIR [ROUNDS] [THREADS]
#   PYTORCH_PYTHON=.venv/bin/python scripts/bench_speed/forecast.sh data 3 "1 2"
#
# DATA_DIR holds ETTh1.csv. The Python needs torch. Ours is the whole program: batches, steps, metrics of every step.
set -euo pipefail
data_dir=$(realpath "${1:?"usage: scripts/bench_speed/forecast.sh DATA_DIR [ROUNDS] [THREADS]"}")
rounds=${2:-3}
threads=${3:-"1 2"}
epochs=${EPOCHS:-3}
python=${PYTORCH_PYTHON:?"set PYTORCH_PYTHON to a Python that has torch"}
cd "$(dirname "$0")/../.."
cargo build --quiet --bin train_ts_mlp
program=${CARGO_TARGET_DIR:-target}/debug/train_ts_mlp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ours KIND THREADS FLAG..: the median epoch, the first left out
ours() {
    local kind=$1 threads=$2 folder
    shift 2
    folder=$("$program" --config configs/train_ts_etth1.yaml --csv-path "$data_dir/ETTh1.csv" --no-mlflow --quiet --json \
        --threads "$threads" --epochs $((epochs + 1)) --model "$kind" --set 'baselines=[]' --set interval_coverage=null \
        --set training.early_stopping.patience=0 --set training.gradient_clip_norm=0 --set training.warmup_epochs=0 \
        --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" "$@" |
        sed 's/.*"outputs":"\([^"]*\)".*/\1/')
    python3 - "$kind" "$threads" "$folder/training_history.csv" <<'PYTHON'
import csv, statistics, sys
kind, threads, path = sys.argv[1:]
speeds = [float(row["samples_per_second"]) for row in csv.DictReader(open(path))]
print("ours", kind, threads, "-", "-", f"{statistics.median(speeds[1:]):.0f}")
PYTHON
}

for _ in $(seq "$rounds"); do
    for n in $threads; do
        ours dlinear "$n"
        "$python" scripts/bench_speed/forecast_peer.py "$data_dir" dlinear "$n" "$epochs"
        ours mlp "$n" --hidden-dims 512 --dropout 0.3
        "$python" scripts/bench_speed/forecast_peer.py "$data_dir" mlp "$n" "$epochs"
    done
done | tee /dev/stderr | python3 scripts/bench_speed/forecast_table.py
