#!/usr/bin/env bash
# Test metrics of the shipped configs on the published splits, mean and standard deviation over seeds.
#
#   scripts/bench_quality.sh DATA_DIR [SEEDS]     DATA_DIR: adult.csv and california.csv with a column `split`
#
# Nothing is chosen by looking at test rows: the configs are the shipped ones, the epoch is chosen on valid rows.
set -euo pipefail
cd "$(dirname "$0")/.."
data_dir=${1:?"usage: scripts/bench_quality.sh DATA_DIR [SEEDS]"}
seeds=${2:-"0 1 2"}
cargo build --quiet --bin train_tabular_mlp
program=${CARGO_TARGET_DIR:-target}/debug/train_tabular_mlp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# measure NAME METRICS FLAGS...
measure() {
    local name=$1 metrics=$2
    shift 2
    for seed in $seeds; do
        "$program" "$@" --seed "$seed" --quiet --json --no-mlflow --set data.split.column=split \
            --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" >> "$work/$name.json"
    done
    for metric in $metrics; do
        grep -o "\"test_$metric\":[-0-9.e]*" "$work/$name.json" | cut -d: -f2 | awk -v name="$name" -v metric="$metric" -v expected="$(wc -w <<< "$seeds")" '
            { sum += $1; squares += $1 * $1; n++ }
            END { if (n != expected) { print "error: " n " values of " metric " for " expected " seeds" > "/dev/stderr"; exit 1 }
                  mean = sum / n; sd = n > 1 ? sqrt((squares - n * mean * mean) / (n - 1)) : 0
                  printf "| %s | test_%s | %.4f | %.4f | %d |\n", name, metric, mean, sd, n }'
    done
}

echo "| data | metric | mean | sd | seeds |"
echo "|---|---|---|---|---|"
measure adult "auc accuracy log_loss" --config configs/train_tabular_adult.yaml --csv-path "$data_dir/adult.csv" \
    --set data.has_header=true --set 'data.columns=[]'
measure california "rmse mae r2" --config configs/train_tabular_california.yaml --csv-path "$data_dir/california.csv" \
    --target-column MedHouseVal
