#!/usr/bin/env bash
# Scoring a file: `predict` beside onnxruntime in Python on the model.onnx of the same run, and beside a scikit-learn pipeline
# of the same size (peer.py). From file to file, and the predictions alone, rows per second; CSV and Parquet.
#
#   PEER_PYTHON=venv/bin/python benches/predict/run.sh DATA_DIR [ROWS] [ROUNDS] [THREADS]
#
# DATA_DIR holds adult.csv with a column `split`; the Python needs onnxruntime, scikit-learn, pandas and pyarrow. Rounds alternate.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=$(cd "${1:?"usage: PEER_PYTHON=... $0 DATA_DIR [ROWS] [ROUNDS] [THREADS]"}" && pwd)
rows=${2:-1000000} rounds=${3:-3} threads=${4:-2}
: "${PEER_PYTHON:?"set PEER_PYTHON to a Python with onnxruntime, scikit-learn, pandas and pyarrow"}"
cargo build --quiet --bin train_tabular_mlp --bin predict
target=${CARGO_TARGET_DIR:-target}/debug
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$target/train_tabular_mlp" --config configs/train_tabular_adult.yaml --csv-path "$data/adult.csv" --quiet --epochs 2 --no-mlflow \
    --set data.has_header=true --set 'data.columns=[]' --set 'baselines=[]' --set data.split.column=split \
    --set "paths.models_dir=$work/models" --set "paths.logs_dir=$work/logs" > /dev/null
model=$(dirname "$(find "$work/models" -name MLmodel)")
"$PEER_PYTHON" benches/predict/peer.py make "$data/adult.csv" "$rows" "$work/rows"

for round in $(seq "$rounds"); do
    for format in csv parquet; do
        start=$(date +%s.%N)
        "$target/predict" --model "$model" --data "$work/rows.$format" --output "$work/ours.$format" --threads "$threads" 2> "$work/ours.log"
        end=$(date +%s.%N)
        echo "ours $format $(awk -v a="$start" -v b="$end" 'BEGIN { print b - a }') $(grep -o 'thread seconds.*' "$work/ours.log" |
            awk -v t="$threads" '{ for (i = 1; i < NF; i++) { gsub(",", "", $(i + 1)); if ($i == "encoding" || $i == "network") s += $(i + 1) } print s / t }')"
        for peer in onnxruntime sklearn; do
            "$PEER_PYTHON" benches/predict/peer.py "$peer" "$model" "$work/rows.$format" "$work/$peer.$format" "$threads" "$data/adult.csv"
        done
    done
done | tee "$work/log"
"$PEER_PYTHON" benches/predict/peer.py table "$work/log" "$rows"
