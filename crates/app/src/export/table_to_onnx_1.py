"""Feeds a data frame to model.onnx, whatever types pandas has given its columns.

MLflow loads this module for `mlflow.pyfunc.load_model` and `mlflow models serve`. The model itself, with all of its
preprocessing, is in model.onnx: this only makes arrays of text or numbers out of columns.
"""

import numpy as np
import onnxruntime
import pandas as pd

BOOLEANS = {"true": 1.0, "false": 0.0}
TYPES = {"tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


class Model:
    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.trim = self.session.get_modelmeta().custom_metadata_map.get("trim") != "false"

    def get_raw_model(self):
        """The onnxruntime session."""
        return self.session

    def predict(self, data, params=None):
        """A data frame with one column for each output of the graph; the rows keep their index."""
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
        feeds = {graph_input.name: self.array(frame, graph_input) for graph_input in self.session.get_inputs()}
        names = [output.name for output in self.session.get_outputs()]
        result = pd.DataFrame(dict(zip(names, self.session.run(names, feeds))))
        return result.set_axis(frame.index) if len(result) == len(frame) else result

    def array(self, frame, graph_input):
        name = graph_input.name
        if name not in frame:
            raise ValueError(f"column `{name}` is missing")
        try:
            column = frame[name]
            is_text = graph_input.type == "tensor(string)"
            values = self.texts(column) if is_text else typed(numbers(column), TYPES[graph_input.type])
            # The only column of a model is a matrix: so MLflow's own loader gives it.
            return values.reshape(-1, 1) if len(graph_input.shape) == 2 else values
        except (TypeError, ValueError) as error:
            raise ValueError(f"column `{name}`: {error}") from error

    def texts(self, column):
        """Texts, "" where missing. A column of integers with gaps, which pandas holds as floats, gives `1` for 1.0."""
        if pd.api.types.is_float_dtype(column.dtype):
            present = column.dropna()
            if (present == present.round()).all():
                column = column.astype("Int64")
        values = column.astype(object).to_numpy()
        texts = ["" if missing else str(value) for value, missing in zip(values, column.isna())]
        return np.array([text.strip() for text in texts] if self.trim else texts, dtype=object)


def typed(values, wanted):
    if wanted in (np.int64, np.bool_) and np.isnan(values).any():
        raise ValueError("the model takes no missing values here")
    return values.astype(wanted)


def numbers(column):
    """float64, NaN where missing; booleans are 0 and 1."""
    if pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype):
        return np.array([number(value) for value in column], dtype=np.float64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def number(value):
    if pd.isna(value):
        return np.nan
    if isinstance(value, str):
        value = value.strip()
        return BOOLEANS.get(value.lower(), np.nan) if value.lower() in ("", *BOOLEANS) else float(value)
    return float(value)


def _load_pyfunc(path):
    return Model(path)
