"""Compares what Python makes of a model's folder with what the program wrote: MODEL_FOLDER DATA.csv PREDICTIONS.csv.

The data is read as a pandas user would read it; its column `part` says which rows are test rows.
"""

import json
import sys

import mlflow
import numpy as np
import onnx
import onnxruntime
import pandas as pd
from mlflow.models.utils import load_serving_example
from mlflow.pyfunc.scoring_server import infer_and_parse_data

TOLERANCE = 1e-5

folder, data, predictions = sys.argv[1:]
frame = pd.read_csv(data)
rows = frame[frame["part"] == "test"]
expected = pd.read_csv(predictions, dtype={"y_pred": str, "y_test": str})


def check(what, found):
    found = pd.DataFrame(found)
    assert len(found) == len(expected) > 0, (what, len(found), len(expected))
    for name in found.columns:
        ours, theirs = expected[name].to_numpy(), found[name].to_numpy()
        if theirs.dtype == object or pd.api.types.is_string_dtype(found[name].dtype):
            assert (ours == theirs).all(), (what, name, np.flatnonzero(ours != theirs)[:5])
            continue
        ours = ours.astype(float)
        error = np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))
        assert error.max() <= TOLERANCE, (what, name, error.max(), int(error.argmax()), rows.iloc[int(error.argmax())])
        print(f"{what} {name}: {error.max():.1e} on {len(found)} rows")


def feeds(session, frame):
    """Arrays for plain onnxruntime."""
    result = {}
    for graph_input in session.get_inputs():
        column = frame[graph_input.name]
        if graph_input.type == "tensor(string)":
            result[graph_input.name] = column.astype(object).to_numpy()
        else:
            result[graph_input.name] = column.astype("boolean" if column.dtype == object else column.dtype).to_numpy(
                dtype=np.float64, na_value=np.nan
            )
    return result


def as_texts(frame, names):
    """Integers as they stand in the file, because onnxruntime takes only texts where the graph has texts."""
    numbers = {name: "Int64" for name in names if pd.api.types.is_numeric_dtype(frame[name].dtype)}
    return frame.astype(numbers)


model = mlflow.onnx.load_model(folder)
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
texts = [graph_input.name for graph_input in session.get_inputs() if graph_input.type == "tensor(string)"]
plain = feeds(session, as_texts(rows, texts))
check("onnxruntime", dict(zip(names, session.run(None, plain))))
check("mlflow.onnx", dict(zip(names, onnxruntime.InferenceSession(model.SerializeToString()).run(None, plain))))

pyfunc = mlflow.pyfunc.load_model(folder)
found = pyfunc.predict(rows)
assert (found.index == rows.index).all()
check("pyfunc", found)
check("pyfunc object", pyfunc.predict(rows.astype({name: object for name in rows.columns[rows.dtypes == "str"]})))
one = pd.concat([pyfunc.predict(rows.iloc[[row]]) for row in range(5)])
assert (one.index == rows.index[:5]).all()
single = one["y_proba"] if "y_proba" in one else one.iloc[:, -1]
together = found[single.name].iloc[:5]
assert np.allclose(single.to_numpy(), together.to_numpy(), rtol=1e-5, atol=1e-6), (single, together)
assert len(pyfunc.predict(rows.iloc[:0])) == 0

for column in pyfunc.metadata.get_input_schema().input_names():
    try:
        pyfunc.predict(rows.drop(columns=column))
    except mlflow.exceptions.MlflowException as error:
        assert f"Model is missing inputs ['{column}']" in str(error), error
    else:
        raise AssertionError(f"`{column}` is missing, and nothing is said")

example = pyfunc.input_example
assert list(example.columns) == pyfunc.metadata.get_input_schema().input_names()
assert len(pyfunc.predict(example)) == len(example) > 0
served = infer_and_parse_data(json.loads(load_serving_example(folder)), pyfunc.metadata.get_input_schema())
pd.testing.assert_frame_equal(pyfunc.predict(served), pyfunc.predict(example))
outputs = pyfunc.metadata.get_output_schema()
assert outputs.input_names() == names
kinds = {"string": object, "float": np.float32}
for spec in outputs.inputs:
    assert spec.type.name in kinds
print("checked")
