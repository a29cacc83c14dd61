#!/usr/bin/env bash
# Runs every shipped config for a few epochs, as a user would, in a folder of its own.
#
#   scripts/smoke.sh [DATA_DIR]     DATA_DIR: a folder with adult.csv, california_housing_raw.csv and titanic_train.csv, used
#                                   in place of the downloads; without it, configs that need a file are skipped
set -euo pipefail
cd "$(dirname "$0")/.."
data_dir=${1:-}
[ -z "$data_dir" ] || data_dir=$(cd "$data_dir" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run() {
    printf '\n== %s\n' "$*"
    cargo run --quiet --bin train_tabular_mlp -- "$@" --epochs 2 --set training.warmup_epochs=0 \
        --set "paths.data_dir=$work/data" --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" \
        --set "paths.artifacts_dir=$work/mlruns" --set "paths.spool_dir=$work/spool" --set "mlflow.tracking_uri=sqlite:///$work/mlflow.db"
}

for config in configs/*.yaml; do
    case $config in
    *_adult.yaml)
        [ -f "$data_dir/adult.csv" ] || { echo "skipped $config: no data folder given"; continue; }
        run --config "$config" --csv-path "$data_dir/adult.csv" --set data.has_header=true --set 'data.columns=[]' \
            --set data.split.column=split ;;
    *_titanic.yaml)
        [ -f "$data_dir/titanic_train.csv" ] || { echo "skipped $config: no data folder given"; continue; }
        run --config "$config" --csv-path "$data_dir/titanic_train.csv" ;;
    *_california_raw.yaml)
        [ -f "$data_dir/california_housing_raw.csv" ] || { echo "skipped $config: no data folder given"; continue; }
        run --config "$config" --csv-path "$data_dir/california_housing_raw.csv" ;;
    *) run --config "$config" ;;
    esac
done
for profile in dev prod; do run --env "$profile"; done
run --set cv.folds=2 --set ensemble=2 --set find_learning_rate=true
run --no-mlflow --json --quiet

# What is tracked so far goes to another store, and a second time there is nothing to do.
sync() {
    printf '\n== sync_runs %s\n' "$*"
    cargo run --quiet --bin sync_runs -- --spool-dir "$work/spool" "$@"
}
sync
sync --from "sqlite:///$work/mlflow.db" --to "sqlite:///$work/copy.db"
sync --from "sqlite:///$work/mlflow.db" --to "sqlite:///$work/copy.db" --json --quiet | grep '"copied":{"runs":0,'
