"""What a Python user types for the same table: the best runs of an experiment by one metric.

  peer.py EXPERIMENT METRIC TOP      reads MLFLOW_TRACKING_URI

`mlflow.search_runs` knows the latest value of a metric, not its best point over the history, which would take one more
request per run. So this does less than `compare_runs`.
"""
import sys

import mlflow


def main():
    experiment, metric, top = sys.argv[1], sys.argv[2], int(sys.argv[3])
    column = f"metrics.{metric}"
    runs = mlflow.search_runs(experiment_names=[experiment], order_by=[f"{column} DESC"], max_results=50_000)
    best = runs.sort_values(column, ascending=False).head(top)
    params = [name for name in runs.columns if name.startswith("params.")]
    shown = best[["run_id", "tags.mlflow.runName", "status", column, *params[:3]]]
    print(f"{len(runs)} runs")
    print(shown.to_string(index=False))


if __name__ == "__main__":
    main()
