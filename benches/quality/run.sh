#!/usr/bin/env bash
# Metrics on the published splits as a Markdown table: mean and standard deviation over seeds.
#
#   benches/quality/run.sh DATA_DIR [SEEDS] [FLAGS..]
#
# DATA_DIR: adult.csv, california.csv and churn.csv with a column `split`. SEEDS: "0 1 2" by default.
# FLAGS go to the program, e.g. `--set ensemble=5`.
# Nothing is chosen by looking at test rows: hyperparameters and the best epoch come from validation rows.
set -euo pipefail
data_dir=$(realpath "${1:?"usage: benches/quality/run.sh DATA_DIR [SEEDS] [FLAGS..]"}")
seeds=${2:-"0 1 2"}
flags=("${@:3}")
cd "$(dirname "$0")/../.."
cargo build --quiet --bin train_tabular_mlp
program=${CARGO_TARGET_DIR:-target}/debug/train_tabular_mlp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# row NAME METRIC < values
row() {
    awk -v name="$1" -v metric="$2" -v expected="$(wc -w <<< "$seeds")" '
        { sum += $1; values[++n] = $1 }
        END { if (n != expected) {
                  print "error: " n + 0 " values of " metric " for " expected " seeds" > "/dev/stderr"
                  exit 1
              }
              mean = sum / n
              for (i = 1; i <= n; i++) squares += (values[i] - mean) ^ 2
              sd = n > 1 ? sqrt(squares / (n - 1)) : 0
              printf "| %s | %s | %.4f | %.4f | %d |\n", name, metric, mean, sd, n }'
}

# measure NAME METRICS BASELINE METRIC
measure() {
    local name=$1 metrics=$2 baseline=$3 baseline_metric=$4 seed metric started=$SECONDS
    for seed in $seeds; do
        "$program" --config "benches/quality/$name.yaml" --csv-path "$data_dir/$name.csv" --seed "$seed" \
            --quiet --json --no-mlflow --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" \
            "${flags[@]}" >> "$work/$name.json"
    done
    echo "$name: $((SECONDS - started)) s for seeds $seeds" >&2
    # The network's metrics stand before `baselines` in the object, the baselines' behind.
    for metric in $metrics; do
        sed 's/"baselines":.*//' "$work/$name.json" | grep -o "\"$metric\":[-+0-9.eE]*" | cut -d: -f2 | row "$name" "$metric"
    done
    sed 's/.*"baselines"://' "$work/$name.json" | grep -o "\"$baseline_metric\":[-+0-9.eE]*" | cut -d: -f2 |
        row "$name, $baseline" "$baseline_metric"
}

echo "| data | metric | mean | sd | seeds |"
echo "|---|---|---|---|---|"
measure adult "val_auc test_auc test_accuracy test_log_loss" logistic test_auc
measure california "val_rmse test_rmse test_mae test_r2" linear test_rmse
measure churn "val_auc val_accuracy test_auc test_accuracy test_log_loss" logistic test_auc
