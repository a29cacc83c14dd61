#!/usr/bin/env bash
# Training speed beside PyTorch's, turn by turn on the same machine, as a Markdown table.
#
#   PYTORCH_PYTHON=path/to/python scripts/bench_speed/run.sh [ROUNDS] [THREADS] [SHAPES]
#   PYTORCH_PYTHON=.venv/bin/python scripts/bench_speed/run.sh 3 "1 2" "14x256x3@256 100x512x4@4096"
#
# The Python needs torch. A round runs our step, then PyTorch's, for each shape; `SECONDS_EACH` (1.5) each.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTORCH_PYTHON:?"set PYTORCH_PYTHON to a Python that has torch"}
rounds=${1:-3}
threads=${2:-"1 2"}
default_shapes=$(for net in 14x256x3 14x512x4 100x256x3 100x512x4; do for batch in 256 1024 4096; do echo "$net@$batch"; done; done)
shapes=${3:-$default_shapes}
seconds=${SECONDS_EACH:-1.5}
# The workspace's features, and the profile of a plain `cargo run`.
ours=$(cargo bench --workspace --profile dev --bench train_step --no-run 2>&1 | sed -n 's/.*Executable .*(\(.*\))/\1/p')
[ -x "$ours" ] || { echo "error: cargo bench --bench train_step built nothing" >&2; exit 1; }
for _ in $(seq "$rounds"); do
    for n in $threads; do
        for shape in $shapes; do
            "$ours" --threads "$n" --seconds "$seconds" "$shape" | sed 's/^/ours /'
            "$python" scripts/bench_speed/peer.py "$n" "$seconds" "$shape" | sed 's/^/peer /'
        done
    done
done | tee /dev/stderr | python3 scripts/bench_speed/table.py
