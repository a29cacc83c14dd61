#!/usr/bin/env bash
# Forecast errors on the published protocols as a Markdown table: mean and standard deviation over seeds.
#
#   benches/quality/forecast.sh DATA_DIR [SEEDS] [FLAGS..]
#
# DATA_DIR: ETTh1.csv and Metro_Interstate_Traffic_Volume.csv. SEEDS: "0 1 2" by default. FLAGS go to the program.
# Nothing is chosen by looking at test windows: settings and the best epoch come from validation windows.
set -euo pipefail
data_dir=$(realpath "${1:?"usage: benches/quality/forecast.sh DATA_DIR [SEEDS] [FLAGS..]"}")
seeds=${2:-"0 1 2"}
flags=("${@:3}")
cd "$(dirname "$0")/../.."
cargo build --quiet --bin train_ts_mlp
program=${CARGO_TARGET_DIR:-target}/debug/train_ts_mlp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# measure NAME CONFIG FILE METRICS FLAG..: one line of JSON per seed, then the table's rows
measure() {
    local name=$1 config=$2 file=$3 metrics=$4 seed started=$SECONDS
    shift 4
    for seed in $seeds; do
        "$program" --config "$config" --csv-path "$data_dir/$file" --seed "$seed" --quiet --json --no-mlflow \
            --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" "$@" "${flags[@]}" >> "$work/$name.json"
    done
    echo "$name: $((SECONDS - started)) s for seeds $seeds" >&2
    python3 - "$name" "$work/$name.json" $metrics <<'PYTHON'
import json, statistics, sys
name, path, *metrics = sys.argv[1:]
runs = [json.loads(line) for line in open(path)]
def row(who, values):
    cells = []
    for metric in metrics:
        found = [run["test_" + metric] for run in values]
        spread = f" ± {statistics.stdev(found):.4f}" if len(set(found)) > 1 else ""
        cells.append(f"{statistics.mean(found):.4f}{spread}")
    print("|", " | ".join([name, who, *cells, str(len(values))]), "|")
row("network", [run["metrics"] for run in runs])
for baseline in runs[0]["baselines"]:
    row(baseline, [run["baselines"][baseline] for run in runs[:1]])
PYTHON
}

echo "| data | model | MSE, scaled | MAE, scaled | seeds |"
echo "|---|---|---|---|---|"
for horizon in 96 192 336 720; do
    measure "ETTh1 $horizon" benches/quality/etth1.yaml ETTh1.csv "mse_scaled mae_scaled" --horizon "$horizon"
done
echo
echo "| data | model | RMSE | MAE | R2 | seeds |"
echo "|---|---|---|---|---|---|"
measure Metro configs/train_ts_metro.yaml Metro_Interstate_Traffic_Volume.csv "rmse mae r2"
