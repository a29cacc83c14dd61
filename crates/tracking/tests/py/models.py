"""Reads the models that the embedded store wrote, prints what it saw as JSON, and writes others beside them."""

import json
import os
import sys
import tempfile

import mlflow
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.tracking import MlflowClient

db, name, scratch = sys.argv[1:]
uri = f"sqlite:///{db}"
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
client = MlflowClient()


def tree(folder):
    # MLflow's client adds a note of its own to what it downloads from the registry.
    note = "registered_model_meta"
    paths = [os.path.join(at, file) for at, _, files in os.walk(folder) for file in files if file != note]
    return {os.path.relpath(path, folder): open(path).read() for path in paths}


def fetch(model_uri):
    return tree(mlflow.artifacts.download_artifacts(model_uri, dst_path=tempfile.mkdtemp(dir=scratch)))


model = client.get_registered_model(name)
versions = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda version: int(version.version))
champion = client.get_model_version_by_alias(name, "champion")
experiment_id = client.get_run(champion.run_id).info.experiment_id
(logged,) = client.search_logged_models([experiment_id])
best = client.search_logged_models(
    [experiment_id], order_by=[{"field_name": "metrics.auc", "ascending": False, "dataset_name": "adult"}]
)
run = client.get_run(champion.run_id)
seen = {
    "models": [found.name for found in client.search_registered_models()],
    "description": model.description,
    "tags": model.tags,
    "aliases": {alias: int(version) for alias, version in model.aliases.items()},
    "versions": [
        [int(v.version), v.source, v.current_stage, v.description, v.tags, v.run_id == run.info.run_id] for v in versions
    ],
    "staging": [int(version.version) for version in client.get_latest_versions(name, ["Staging"])],
    "champion": [int(champion.version), champion.aliases],
    "champion_files": fetch(f"models:/{name}@champion"),
    "version_files": fetch(f"models:/{name}/1"),
    "logged_files": fetch(f"models:/{logged.model_id}"),
    "logged": [logged.name, logged.model_type, str(logged.status), logged.params, logged.source_run_id == run.info.run_id],
    "logged_tag": logged.tags["team"],
    "registered_as": json.loads(logged.tags["mlflow.modelVersions"]),
    "logged_metrics": sorted(
        [m.key, m.value, m.timestamp, m.step, m.dataset_name, m.dataset_digest, m.run_id == run.info.run_id]
        for m in logged.metrics
    ),
    "best": [found.model_id == logged.model_id for found in best],
    "outputs": [[output.model_id == logged.model_id, output.step] for output in run.outputs.model_outputs],
    "run_metrics": run.data.metrics,
}

created = client.create_run(experiment_id, run_name="python")
run_id = created.info.run_id
mine = client.create_logged_model(
    experiment_id,
    name="sk-model",
    source_run_id=run_id,
    tags={"lang": "python"},
    params={"depth": "3"},
    model_type="tree",
)
with tempfile.TemporaryDirectory(dir=scratch) as folder:
    os.mkdir(os.path.join(folder, "data"))
    for path in ["MLmodel", "data/model.txt"]:
        with open(os.path.join(folder, path), "w") as file:
            file.write("python " + path)
    client.log_model_artifacts(mine.model_id, folder)
client.log_outputs(run_id, [LoggedModelOutput(mine.model_id, 4)])
client.log_batch(
    run_id, [Metric("auc", 0.75, 1000, 4, model_id=mine.model_id, dataset_name="iris", dataset_digest="d9")]
)
client.finalize_logged_model(mine.model_id, LoggedModelStatus.READY)
client.create_registered_model("from python", {"team": "blue"}, "of Python")
for _ in range(2):
    mlflow.register_model(f"models:/{mine.model_id}", "from python")
client.set_registered_model_alias("from python", "best", 1)
client.transition_model_version_stage("from python", 2, "Production")
client.set_model_version_tag("from python", 2, "checked", "yes")
client.update_model_version("from python", 2, "second")
client.set_registered_model_alias(name, "challenger", 2)
seen["created"] = [run_id, mine.model_id]
print(json.dumps(seen))
