#!/usr/bin/env bash
# What tracking costs a real training run: wall time of the Adult config with tracking off, on the embedded store and on a
# real MLflow server, turn by turn.
#
#   MLFLOW_PYTHON=venv/bin/python benches/tracking/overhead.sh DATA_DIR [ROUNDS]
#
# DATA_DIR: a folder with adult.csv. ROUNDS: 7. Prints the median of each, the ratio to tracking that is off, and how long the
# training loop alone took (the log's first to last epoch), which is what tracking must not slow.
set -euo pipefail
data=$(realpath "${1:?"usage: benches/tracking/overhead.sh DATA_DIR [ROUNDS]"}")/adult.csv
rounds=${2:-7}
cd "$(dirname "$0")/../.."
python=$(realpath -s "${MLFLOW_PYTHON:?"set MLFLOW_PYTHON to a Python that has mlflow"}")
config=$(realpath configs/train_tabular_adult.yaml)
cargo build --quiet --bin train_tabular_mlp
program=$(realpath "${CARGO_TARGET_DIR:-target}/debug/train_tabular_mlp")
work=$(mktemp -d)
cd "$work"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PATH=$(dirname "$python"):$PATH setsid mlflow server --workers 1 --host 127.0.0.1 --port "$port" \
    --backend-store-uri "sqlite:///$work/server.db" --artifacts-destination "$work/artifacts" > server.log 2>&1 &
server=$!
trap '{ kill -KILL -- "-$server" && wait "$server"; } 2> /dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 180); do
    python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/health')" 2> /dev/null && break
    sleep 1
done

# train NAME FLAG...: appends wall seconds of the program and of its epochs
train() {
    local name=$1 begin
    shift
    rm -rf logs
    begin=$(date +%s.%N)
    "$program" --quiet --config "$config" --csv-path "$data" --set data.has_header=true --set 'data.columns=[]' \
        --set data.split.column=split --set 'baselines=[]' "$@" > /dev/null
    awk "BEGIN { print $(date +%s.%N) - $begin }" >> "$name.wall"
    python3 - logs/*.log >> "$name.loop" << 'PYTHON'
import datetime, sys
epochs = [line.split()[0] for line in open(sys.argv[1]) if ": epoch " in line]
time = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
print((time(epochs[-1]) - time(epochs[0])).total_seconds())
PYTHON
}
for _ in $(seq "$rounds"); do
    train off --no-mlflow
    train embedded
    train server --set "mlflow.tracking_uri=http://127.0.0.1:$port"
done
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
echo "| tracking | whole program, s | ratio | training loop, s | ratio |"
echo "|---|---|---|---|---|"
for name in off embedded server; do
    echo "$name $(median $name.wall) $(median off.wall) $(median $name.loop) $(median off.loop)" |
        awk '{ printf "| %s | %.2f | %.3f | %.2f | %.3f |\n", $1, $2, $2 / $3, $4, $4 / $5 }'
done
