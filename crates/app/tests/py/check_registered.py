"""Registers the models of two runs in the embedded store, as any MLflow user would, and asks them: RUN_ID of a table's model,
RUN_ID of a forecaster, and the output folders of both."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import mlflow
import numpy as np
import pandas as pd

table_run, series_run, table_folder, series_folder = sys.argv[1:]
mlflow.set_tracking_uri("sqlite:///mlflow.db")
client = mlflow.MlflowClient()
for name, run_id in [("people", table_run), ("traffic", series_run)]:
    [output] = client.get_run(run_id).outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.source_run_id, str(model.status)) == ("model", run_id, "READY"), model
    assert {metric.key for metric in model.metrics} >= {"val_loss"}, model.metrics
    version = mlflow.register_model(f"models:/{output.model_id}", name)
    client.set_registered_model_alias(name, "champion", version.version)

# Rows of a table
expected = pd.read_csv(f"{table_folder}/predictions/test_predictions.csv", dtype={"y_pred": str})
data = pd.read_csv("data.csv")
rows = data[data["part"] == "test"]
found = mlflow.pyfunc.load_model("models:/people@champion").predict(rows)
assert np.abs(found["y_proba"].to_numpy() - expected["y_proba"].to_numpy()).max() < 1e-5
assert (found["y_pred"].to_numpy() == expected["y_pred"].to_numpy()).all()
by_run = mlflow.pyfunc.load_model(f"runs:/{table_run}/model").predict(rows)
pd.testing.assert_frame_equal(by_run, found)

# A forecast: the example is the last window of the file, of which the program has written the last forecast.
forecaster = mlflow.pyfunc.load_model("models:/traffic@champion")
forecast = forecaster.predict(forecaster.input_example)
expected = pd.read_csv(f"{series_folder}/predictions/test_predictions.csv")
last = expected[expected["window"] == expected["window"].max()]
for name, column in [("pred", "y_pred"), ("lower", "y_lower"), ("upper", "y_upper")]:
    ours, theirs = last[column].to_numpy(), forecast[f"traffic_volume_{name}"].to_numpy()
    assert len(theirs) == len(ours) == 24
    assert np.abs(ours - theirs).max() / np.abs(ours).max() < 1e-5, (name, ours, theirs)

# A server
with socket.socket() as found_port:
    found_port.bind(("127.0.0.1", 0))
    port = found_port.getsockname()[1]
command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/people@champion", "--env-manager", "local"]
# `serve` looks for uvicorn on the path, also where its Python was called by its name.
path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "PATH": path}
server = subprocess.Popen([*command, "-p", str(port), "-h", "127.0.0.1"], env=environment)
try:
    address = f"http://127.0.0.1:{port}"
    for attempt in range(120):
        try:
            urllib.request.urlopen(f"{address}/ping", timeout=5)
            break
        except OSError:
            time.sleep(0.5)
    records = json.loads(rows.head(20).to_json(orient="records"))
    for body in [{"dataframe_records": records}, {"dataframe_split": json.loads(rows.head(20).to_json(orient="split"))}]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/invocations", json.dumps(body).encode(), headers)
        answer = json.loads(urllib.request.urlopen(request, timeout=60).read())["predictions"]
        served = pd.DataFrame(answer)["y_proba"].to_numpy()
        assert np.abs(served - by_run["y_proba"].to_numpy()[:20]).max() < 1e-5, served
finally:
    server.terminate()
    server.wait(30)
print("checked")
