#!/usr/bin/env bash
# How good the proposals of TPE are, and what one costs, beside Optuna's default sampler: Branin, Hartmann-6, Rosenbrock-5 (regret)
# and a table of 1,614 real trainings of scikit-learn's MLP (log loss of the nearest ones).
#
#   PEER_PYTHON=venv/bin/python benches/tuning/sampler/run.sh RECORDS.jsonl.gz [SEEDS]
#
# The Python needs optuna 5 and numpy. SEEDS: 20 by default. Medians over the seeds; ratios below 1 are better than Optuna. The log loss
# is negative, so there the difference of medians is shown as the ratio of the losses.
set -euo pipefail
records=$(realpath "${1:?"usage: PEER_PYTHON=... $0 RECORDS.jsonl.gz [SEEDS]"}")
seeds=${2:-20}
: "${PEER_PYTHON:?"set PEER_PYTHON to a Python with optuna and numpy"}"
cd "$(dirname "$0")/../../.."
cargo build --quiet -p tuning --example sampler
program=$(realpath "${CARGO_TARGET_DIR:-target}/debug/examples/sampler")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$PEER_PYTHON" benches/tuning/sampler/peer.py table "$records" "$work/mlp.csv"
"$program" "$work" "$seeds" 100 > "$work/ours"
"$PEER_PYTHON" benches/tuning/sampler/peer.py run "$work" "$seeds" 100 > "$work/peer"
python3 - "$work/ours" "$work/peer" <<'PY'
import math, statistics, sys
def read(path):
    found = {}
    for problem, kind, n, value in (line.split() for line in open(path)):
        found.setdefault((problem, "cost" if kind == "cost" else "best", int(n)), []).append(float(value))
    return found
ours, peer = map(read, sys.argv[1:])
print("| problem | trials | ours | Optuna | ratio |\n|---|---|---|---|---|")
for problem, kind, n in ours:
    a, b = (statistics.median(side[problem, kind, n]) for side in (ours, peer))
    if kind == "cost":
        print(f"| {problem}, ms per proposal | {n} | {a:.2f} | {b:.2f} | {a / b:.2f} |")
    elif problem == "mlp":
        print(f"| {problem} (log loss) | {n} | {math.exp(a):.4f} | {math.exp(b):.4f} | {math.exp(a - b):.2f} |")
    else:
        print(f"| {problem} (regret) | {n} | {a:.4f} | {b:.4f} | {a / b:.2f} |")
PY
