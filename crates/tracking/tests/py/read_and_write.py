"""Reads a run through MlflowClient, prints what it saw as JSON, and writes another run beside it."""

import json
import math
import sys

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.tracking import MlflowClient

db, run_id, scratch = sys.argv[1:]
client = MlflowClient(f"sqlite:///{db}")


def number(value):
    return "NaN" if math.isnan(value) else value


run = client.get_run(run_id)
seen = {
    "experiment": client.get_experiment(run.info.experiment_id).name,
    "experiment_tags": client.get_experiment(run.info.experiment_id).tags,
    "name": run.info.run_name,
    "user": run.info.user_id,
    "status": run.info.status,
    "start_time": run.info.start_time,
    "end_time": run.info.end_time,
    "params": run.data.params,
    "tags": run.data.tags,
    "metrics": {key: number(value) for key, value in run.data.metrics.items()},
    "history": [
        [m.step, m.timestamp, number(m.value)] for m in client.get_metric_history(run_id, "loss")
    ],
    "inputs": [
        [i.dataset.name, i.dataset.digest, i.dataset.profile, {t.key: t.value for t in i.tags}]
        for i in run.inputs.dataset_inputs
    ],
    "artifacts": [[a.path, a.is_dir, a.file_size] for a in client.list_artifacts(run_id, "plots")],
    "artifact": open(client.download_artifacts(run_id, "plots/a.txt", scratch)).read(),
    "found": [
        r.info.run_id
        for r in client.search_runs(
            [run.info.experiment_id], "metrics.val_auc > 0.8 and params.model = 'mlp'", order_by=["metrics.loss DESC"]
        )
    ],
}

created = client.create_run(run.info.experiment_id, run_name="from python", tags={"lang": "python"})
new_id = created.info.run_id
client.log_batch(
    new_id,
    [Metric("loss", 0.5, 1000, 0), Metric("loss", 0.25, 2000, 1), Metric("bad", float("nan"), 1, 0)],
    [Param("model", "tree"), Param("hidden dim", "64")],
    [RunTag("group", "b")],
)
dataset = Dataset("iris", "d9", "local", "{}", None, '{"num_rows": 150}')
client.log_inputs(new_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
client.log_text(new_id, "hello", "notes/hello.txt")
client.set_terminated(new_id, "FAILED", 5000)
client.set_experiment_tag(run.info.experiment_id, "seen", "yes")
seen["created"] = new_id
print(json.dumps(seen))
