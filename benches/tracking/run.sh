#!/usr/bin/env bash
# Our client beside MLflow's own, on the same machine, the same kind of store and the same server, as a Markdown table: time
# of a call, points per second until they can be read, searches over 10,000 runs, time to exit. Takes about five minutes.
#
#   MLFLOW_PYTHON=venv/bin/python benches/tracking/run.sh [MEASURE...]
#   MLFLOW_PYTHON=venv/bin/python benches/tracking/run.sh caller search
#
# Measures: caller points search exit server gone. The Python needs mlflow and pandas. `server` and `gone` start an `mlflow server`
# of that Python; `gone` kills it and gives up on the peer after PEER_PATIENCE (120) seconds. Ours is the profile of a plain
# `cargo run`.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(realpath -s "${MLFLOW_PYTHON:?"set MLFLOW_PYTHON to a Python that has mlflow"}")
measures=${*:-caller points search exit server gone}
patience=${PEER_PATIENCE:-120}
peer_script=$(pwd)/benches/tracking/peer.py
client=$(cargo bench --workspace --profile dev --bench client --no-run 2>&1 | sed -n 's/.*Executable .*(\(.*\))/\1/p')
client=$(realpath "$client")
[ -x "$client" ] || { echo "error: cargo bench --bench client built nothing" >&2; exit 1; }
table=$(pwd)/benches/tracking/table.py
work=$(mktemp -d)
server=
stop_server() {
    [ -z "$server" ] || { kill -KILL -- "-$server" && wait "$server"; } 2> /dev/null || true
    server=
}
trap 'stop_server; rm -rf "$work"' EXIT
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_HTTP_REQUEST_TIMEOUT=120

ours() { "$client" "$@" | sed 's/^/ours /'; }
peer() { "$python" "$peer_script" "$@" 2>> peer.log | sed 's/^/peer /'; }

# start_server: sets `server` (a process group) and `uri`
start_server() {
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    uri=http://127.0.0.1:$port
    PATH=$(dirname "$python"):$PATH setsid mlflow server --workers 1 --host 127.0.0.1 --port "$port" \
        --backend-store-uri "sqlite:///$work/server.db" --artifacts-destination "$work/artifacts" > server.log 2>&1 &
    server=$!
    for _ in $(seq 180); do
        python3 -c "import urllib.request; urllib.request.urlopen('$uri/health')" 2> /dev/null && return
        sleep 1
    done
    echo "error: no server after 180 s" >&2
    cat server.log >&2
    exit 1
}

measure() {
    case $1 in
        search)
            peer create "$work/search.db"
            ours fill "$work/search.db"
            ours search "$work/search.db"
            peer search "$work/search.db"
            ;;
        server)
            start_server
            # Not timed: a server's first requests take seconds.
            peer server "$uri" > /dev/null
            ours server "$uri"
            peer server "$uri"
            stop_server
            ;;
        gone)
            start_server
            ours gone "$uri" "$work" > ours.gone &
            local mine=$!
            timeout "$patience" "$python" "$peer_script" gone "$uri" "$work" > peer.gone 2>> peer.log &
            local theirs=$!
            until [ -e ours.ready ] && [ -e peer.ready ]; do sleep 0.2; done
            stop_server
            touch gone
            wait "$mine"
            cat ours.gone
            wait "$theirs" && sed 's/^/peer /' peer.gone || echo "peer exit_gone_s >$patience"
            ;;
        *)
            ours "$1" "$work/ours-$1.db"
            peer create "$work/peer-$1.db"
            peer "$1" "$work/peer-$1.db"
            ;;
    esac
}

for name in $measures; do measure "$name"; done | tee /dev/stderr | python3 "$table" || { tail -n 20 peer.log >&2; exit 1; }
