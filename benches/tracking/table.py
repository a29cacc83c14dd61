"""Reads lines `ours NAME VALUE` and `peer NAME VALUE`, prints a Markdown table: ours, peer's, how many times as good."""

import sys

# label, our name, the peer's, what is good
ROWS = [
    ("`log_metric`, median, ns (peer: asynchronous)", "caller_median_ns", "caller_async_median_ns", "low"),
    ("`log_metric`, p99, ns (peer: asynchronous)", "caller_p99_ns", "caller_async_p99_ns", "low"),
    ("`log_metric`, median, ns (peer: synchronous)", "caller_median_ns", "caller_sync_median_ns", "low"),
    ("`log_metric`, p99, ns (peer: synchronous)", "caller_p99_ns", "caller_sync_p99_ns", "low"),
    ("`log_batch` of 1,000, SQLite, points/s", "log_batch_1000_points_per_s", "log_batch_points_per_s", "high"),
    ("`log_batch` of 1,000, SQLite, CPU us per point", "log_batch_1000_cpu_us", "log_batch_cpu_us", "low"),
    ("`log_batch` of 10,000, SQLite, points/s (peer: 1,000)", "log_batch_10000_points_per_s", "log_batch_points_per_s", "high"),
    ("`Run::log_metrics` + `finish`, SQLite, points/s (peer: `log_batch`)", "run_points_per_s", "log_batch_points_per_s", "high"),
    ("`Run::log_metrics` + `finish`, SQLite, CPU us per point", "run_cpu_us", "log_batch_cpu_us", "low"),
    ("`log_batch` of 1,000 to a server, points/s", "server_points_per_s", "server_points_per_s", "high"),
    ("best 100 of 10,000 runs, ms (peer: `mlflow.search_runs`)", "search_top_100_ms", "search_top_100_ms", "low"),
    ("best 100 of 10,000 runs, ms (peer: `MlflowClient`)", "search_top_100_ms", "search_top_100_client_ms", "low"),
    ("best 1,000 with all values, ms (peer: `mlflow.search_runs`)", "search_page_1000_ms", "search_page_1000_ms", "low"),
    ("best 1,000 with all values, ms (peer: `MlflowClient`)", "search_page_1000_ms", "search_page_1000_client_ms", "low"),
    ("best 100 with two conditions, ms (peer: `mlflow.search_runs`)", "search_filter_100_ms", "search_filter_100_ms", "low"),
    ("best 100 with two conditions, ms (peer: `MlflowClient`)", "search_filter_100_ms", "search_filter_100_client_ms", "low"),
    ("exit with 100,000 points to write, s (peer: 10,000)", "exit_s", "exit_s", "low"),
    ("exit when the server has gone, s", "exit_gone_s", "exit_gone_s", "low"),
]


def ratio(ours, peer, good):
    mine, theirs = float(ours), float(peer.lstrip(">"))
    times = theirs / mine if good == "low" else mine / theirs
    return (">" if peer.startswith(">") else "") + f"{times:,.1f}"


def shown(value):
    sign = ">" * value.startswith(">")
    number = float(value.lstrip(">"))
    return sign + (f"{number:,.0f}" if number >= 1000 else f"{number:g}")


def main():
    values = {}
    for line in sys.stdin:
        who, name, value = line.split()
        values[who, name] = value
    print("| measure | ours | MLflow's client | times as good |")
    print("|---|---|---|---|")
    for label, mine, theirs, good in ROWS:
        ours, peer = values.get(("ours", mine)), values.get(("peer", theirs))
        if ours and peer:
            print(f"| {label} | {shown(ours)} | {shown(peer)} | {ratio(ours, peer, good)} |")
    lost = values.get(("peer", "exit_lost"))
    if lost and float(lost):
        print(f"\nMLflow's client has lost {lost} points at exit.")


main()
