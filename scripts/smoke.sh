#!/usr/bin/env bash
# Runs every program with every shipped config, as a user would, trainings for a few epochs, in a folder of its own.
#
#   scripts/smoke.sh [DATA_DIR]     DATA_DIR: a folder with adult.csv, california_housing_raw.csv, titanic_train.csv, ETTh1.csv,
#                                   Metro_Interstate_Traffic_Volume.csv and airline-passengers.csv, used in place of the
#                                   downloads; without it, configs that need a file are skipped
set -euo pipefail
cd "$(dirname "$0")/.."
data_dir=${1:-}
[ -z "$data_dir" ] || data_dir=$(cd "$data_dir" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run() {
    local program=$1
    shift
    printf '\n== %s %s\n' "$program" "$*"
    cargo run --quiet --bin "$program" -- "$@" --epochs 2 --set training.warmup_epochs=0 \
        --set "paths.data_dir=$work/data" --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" \
        --set "paths.artifacts_dir=$work/mlruns" --set "paths.spool_dir=$work/spool" --set "mlflow.tracking_uri=sqlite:///$work/mlflow.db"
}
# run_with FILE PROGRAM FLAG..: on a file of the data folder, in place of the download
run_with() {
    local file=$data_dir/$1 program=$2
    shift 2
    if [ -f "$file" ]; then run "$program" "$@" --csv-path "$file"; else echo "skipped $*: no data folder given"; fi
}

for config in configs/train_*.yaml; do
    case $config in
    *_adult.yaml)
        run_with adult.csv train_tabular_mlp --config "$config" --set data.has_header=true --set 'data.columns=[]' \
            --set data.split.column=split ;;
    *_titanic.yaml) run_with titanic_train.csv train_tabular_mlp --config "$config" ;;
    *_california_raw.yaml) run_with california_housing_raw.csv train_tabular_mlp --config "$config" ;;
    *_airline.yaml) run_with airline-passengers.csv train_ts_mlp --config "$config" ;;
    *_etth1.yaml) run_with ETTh1.csv train_ts_mlp --config "$config" ;;
    *_metro.yaml) run_with Metro_Interstate_Traffic_Volume.csv train_ts_mlp --config "$config" ;;
    *_ts_*.yaml) run train_ts_mlp --config "$config" ;;
    *) run train_tabular_mlp --config "$config" ;;
    esac
done
for profile in dev prod; do
    run train_tabular_mlp --env "$profile"
    run train_ts_mlp --env "$profile"
done
run train_tabular_mlp --set cv.folds=2 --set ensemble=2 --set find_learning_rate=true
run train_ts_mlp --set backtest.folds=2 --set find_learning_rate=true --set 'model.quantiles=[0.05, 0.5, 0.95]'
run train_tabular_mlp --no-mlflow --json --quiet
run train_ts_mlp --no-mlflow --json --quiet

# The next day of the newest model.
printf '\n== forecast\n'
cargo run --quiet --bin forecast -- --models-dir "$work/models" --output "$work/forecast.csv" --plot "$work/forecast.png"
[ -s "$work/forecast.csv" ] && [ -s "$work/forecast.png" ]

# What comes after training, with the newest model, without any flag but the folders.
after() {
    local program=$1
    shift
    printf '\n== %s %s\n' "$program" "$*"
    cargo run --quiet --bin "$program" -- "$@" \
        --set "paths.data_dir=$work/data" --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" \
        --set "paths.artifacts_dir=$work/mlruns" --set "paths.spool_dir=$work/spool" --set "mlflow.tracking_uri=sqlite:///$work/mlflow.db"
}
# A few trials of each search; the winner's config runs as it stands.
quick='training.epochs=2, training.warmup_epochs=0'
for config in configs/tune_*.yaml; do
    after tune --config "$config" --n-trials 4 --set "set=[$quick]" --set 'refit_set=[]' --study "smoke_$(basename "$config" .yaml)" \
        --storage "sqlite:///$work/tune.db"
done
after train_tabular_mlp --config configs/best_smoke_tune_tabular.yaml --no-mlflow
after train_ts_mlp --config configs/best_smoke_tune_ts.yaml --no-mlflow
rm configs/best_smoke_tune_*.yaml
after evaluate                       # a forecaster
run train_tabular_mlp
after evaluate --set 'gates=["test_accuracy >= 0.5"]'
if after evaluate --set 'gates=["test_accuracy >= 1.5"]'; then echo 'a gate that cannot hold has held' && exit 1; fi
after drift
printf '\n== predict\n'
cargo run --quiet --bin predict -- --models-dir "$work/models" --output "$work/scored.csv"
[ "$(wc -l <"$work/scored.csv")" = 1600 ]

# Which run is best, and is it good enough: all forms, a page, a decision that is made and one that is refused.
after compare_runs
after compare_runs --metric test_auc --kind all --group-by seed --format csv
after compare_runs --metric test_auc --metric val_loss --html "$work/runs.html" --json >"$work/runs.json"
[ -s "$work/runs.html" ]
after compare_runs --metric test_auc --register wine --alias champion --set 'gates=["test_accuracy >= 0.5"]'
if after compare_runs --metric test_auc --register wine --alias champion --require-better-than @champion; then
    echo 'a model was better than itself' && exit 1
fi
best=$(sed -n 's/^    "run_id": "\(.*\)",$/\1/p; s/^      "run_id": "\(.*\)",$/\1/p' "$work/runs.json" | head -1)
after compare_runs --export-config "$best" --output "$work/again.yaml"
after train_tabular_mlp --from-run "$best" | tee /dev/stderr | grep -q '^identical to run '

# What is tracked so far goes to another store, and a second time there is nothing to do.
sync() {
    printf '\n== sync_runs %s\n' "$*"
    cargo run --quiet --bin sync_runs -- --spool-dir "$work/spool" "$@"
}
sync
sync --from "sqlite:///$work/mlflow.db" --to "sqlite:///$work/copy.db"
sync --from "sqlite:///$work/mlflow.db" --to "sqlite:///$work/copy.db" --json --quiet | grep '"copied":{"runs":0,'
