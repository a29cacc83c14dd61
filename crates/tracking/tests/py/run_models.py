"""Reads the models that a run of ours has made and another has used, registers one, prints what it saw as JSON."""

import json
import os
import sys
import tempfile

import mlflow
from mlflow.models import Model
from mlflow.tracking import MlflowClient

uri, experiment, run_id, user_id, scratch = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
client = MlflowClient()


def fetch(model_uri):
    return mlflow.artifacts.download_artifacts(model_uri, dst_path=tempfile.mkdtemp(dir=scratch))


def files(folder):
    # MLflow's client adds a note of its own to what it downloads from the registry.
    return sorted(name for name in os.listdir(folder) if name != "registered_model_meta")


experiment_id = client.get_experiment_by_name(experiment).experiment_id
(model,) = client.search_logged_models([experiment_id], filter_string="name = 'model'")
name = f"of {experiment}"
version = mlflow.register_model(f"models:/{model.model_id}", name)
client.set_registered_model_alias(name, "champion", version.version)
folder = fetch(f"models:/{model.model_id}")
flavors = Model.load(folder)
run = client.get_run(run_id)
print(
    json.dumps(
        {
            "model": [
                model.model_id,
                model.name,
                model.model_type,
                str(model.status),
                model.params,
                model.tags["team"],
                model.source_run_id,
            ],
            "same": client.get_logged_model(model.model_id).artifact_location == model.artifact_location,
            "metrics": sorted(
                [m.key, m.value, m.step, m.dataset_name, m.dataset_digest, m.run_id] for m in model.metrics
            ),
            "outputs": [[output.model_id, output.step] for output in run.outputs.model_outputs],
            "inputs": [used.model_id for used in client.get_run(user_id).inputs.model_inputs],
            "mlmodel": [
                flavors.model_id,
                flavors.model_uuid,
                flavors.run_id,
                flavors.artifact_path == model.artifact_location,
            ],
            "files": {
                "models": files(folder),
                "runs": files(fetch(f"runs:/{run_id}/model")),
                "champion": files(fetch(f"models:/{name}@champion")),
            },
            "version": [int(version.version), version.run_id, version.source],
        }
    )
)
