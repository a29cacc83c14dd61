"""Answers searches on experiment 0, read as JSON from stdin: names of the runs found, or null where MLflow refuses."""

import json
import sys

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

client = MlflowClient(f"sqlite:///{sys.argv[1]}")


def search(filter, order_by):
    try:
        return [run.info.run_name for run in client.search_runs(["0"], filter, order_by=order_by)]
    except MlflowException:
        return None


print(json.dumps([search(filter, order_by) for filter, order_by in json.load(sys.stdin)]))
