#!/usr/bin/env bash
# Forecast errors on the published protocols as Markdown tables: mean and standard deviation over seeds.
#
#   benches/quality/forecast.sh DATA_DIR [SEEDS] [FLAGS..]
#
# DATA_DIR: ETTh1.csv and Metro_Interstate_Traffic_Volume.csv. SEEDS: "0 1 2" by default. FLAGS go to the program.
# ETTh1: of each horizon the network with the least error in a rolling-origin back-test (3 blocks of 60 days inside the train
# and valid parts, first seed). The best epoch comes from valid windows, Metro's settings from its valid windows.
set -euo pipefail
data_dir=$(realpath "${1:?"usage: benches/quality/forecast.sh DATA_DIR [SEEDS] [FLAGS..]"}")
seeds=${2:-"0 1 2"}
flags=("${@:3}")
cd "$(dirname "$0")/../.."
cargo build --quiet --bin train_ts_mlp
program=${CARGO_TARGET_DIR:-target}/debug/train_ts_mlp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# train FILE FLAG..: one line of JSON
train() {
    local file=$1
    shift
    "$program" --csv-path "$data_dir/$file" --quiet --json --no-mlflow --set "paths.models_dir=$work/models" \
        --set "paths.logs_dir=$work/logs" "$@" "${flags[@]}"
}

# etth1 HORIZON KIND FLAG..
etth1() {
    local horizon=$1 kind=$2 more=()
    shift 2
    [ "$kind" != mlp ] || more=(--learning-rate 3e-4 --batch-size 64)
    train ETTh1.csv --config benches/quality/etth1.yaml --horizon "$horizon" --model "$kind" "${more[@]}" "$@"
}

# backtest HORIZON KIND: mean of the blocks' standardised MSE
backtest() {
    local folder
    folder=$(etth1 "$@" --seed "${seeds%% *}" --set 'baselines=[]' --set 'backtest={folds: 3, step: 1440}' |
        sed 's/.*"outputs":"\([^"]*\)".*/\1/')
    python3 - "$folder/backtest_results.csv" <<'PYTHON'
import csv, statistics, sys
print(f'{statistics.mean(float(row["test_mse_scaled"]) for row in csv.DictReader(open(sys.argv[1]))):.4f}')
PYTHON
}

# rows NAME NETWORK FILE METRIC..: of lines of JSON, one per seed
rows() {
    python3 - "$@" <<'PYTHON'
import json, statistics, sys
name, network, path, *metrics = sys.argv[1:]
runs = [json.loads(line) for line in open(path)]
def row(who, values):
    cells = []
    for metric in metrics:
        found = [run["test_" + metric] for run in values]
        spread = f" ± {statistics.stdev(found):.4f}" if len(set(found)) > 1 else ""
        cells.append(f"{statistics.mean(found):.4f}{spread}")
    print("|", " | ".join([name, who, *cells, str(len(values))]), "|")
row(network, [run["metrics"] for run in runs])
for baseline in runs[0]["baselines"]:
    row(baseline, [run["baselines"][baseline] for run in runs[:1]])
PYTHON
}

echo "| data | model | MSE, standardised | MAE, standardised | seeds |"
echo "|---|---|---|---|---|"
for horizon in 96 192 336 720; do
    chosen='' least=''
    for kind in nlinear rlinear mlp; do
        error=$(backtest "$horizon" "$kind")
        echo "ETTh1 $horizon, back-test of $kind: $error" >&2
        if [ -z "$least" ] || awk "BEGIN { exit !($error < $least) }"; then chosen=$kind least=$error; fi
    done
    for seed in $seeds; do etth1 "$horizon" "$chosen" --seed "$seed" >> "$work/$horizon.json"; done
    rows "ETTh1 $horizon" "$chosen" "$work/$horizon.json" mse_scaled mae_scaled
done
echo
echo "| data | model | RMSE | MAE | R2 | seeds |"
echo "|---|---|---|---|---|---|"
for seed in $seeds; do
    train Metro_Interstate_Traffic_Volume.csv --config configs/train_ts_metro.yaml --seed "$seed" >> "$work/metro.json"
done
rows Metro mlp "$work/metro.json" rmse mae r2
