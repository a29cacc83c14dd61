"""Runs an exported forecaster on the windows of its test forecasts and compares the two.

Usage: python check_series.py SPEC.json

SPEC: {onnx, file, predictions, time, time_format, epoch, group, targets, rows_per_window, horizon, ahead, inputs, outputs}.
Windows are cut from the raw file as a pandas user would: rows in the order of time, R rows for each window. Exits with 1 where
a forecast is off by more than 1e-5 of its target's largest value.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd

TOLERANCE = 1e-5
TYPES = {"tensor(double)": "float64", "tensor(int64)": "int64", "tensor(bool)": "bool", "tensor(string)": "object"}


def times_of(texts, how):
    if how is None:
        return pd.to_datetime(texts.str.slice(0, 19))
    return pd.to_datetime(texts, format=how)


def feed_of(session, rows):
    """The inputs as MLflow's ONNX flavour gives them."""
    inputs = session.get_inputs()
    if len(inputs) == 1:
        return {inputs[0].name: rows[[inputs[0].name]].values.astype(TYPES[inputs[0].type])}
    return {given.name: rows[given.name].values.astype(TYPES[given.type]) for given in inputs}


def main(spec):
    onnx.checker.check_model(onnx.load(spec["onnx"]), full_check=True)
    session = onnxruntime.InferenceSession(spec["onnx"], providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == [name for name, *_ in spec["inputs"]]
    raw = pd.read_csv(spec["file"], keep_default_na=False, na_values={name: [""] for name in spec["targets"]}, dtype={spec["time"]: str})
    raw["_time"] = times_of(raw[spec["time"]], spec["time_format"])
    if spec["epoch"]:
        raw[spec["time"]] = (raw["_time"] - pd.Timestamp("1970-01-01")) // pd.Timedelta(seconds=1)
    wanted = pd.read_csv(spec["predictions"])
    wanted["time"] = pd.to_datetime(wanted["time"])
    for key, value in [("series", "all"), ("target", spec["targets"][0])]:
        if key not in wanted:
            wanted[key] = value
    groups = {"all": raw} if spec["group"] is None else dict(list(raw.groupby(raw[spec["group"]].astype(str))))
    groups = {name: rows.sort_values("_time").reset_index(drop=True) for name, rows in groups.items()}
    places = {name: pd.Series(rows.index, index=rows["_time"]) for name, rows in groups.items()}

    rows_per_window, horizon = spec["rows_per_window"], spec["horizon"]
    end = horizon if spec["ahead"] else 0
    first = wanted[(wanted["step"] == 1) & (wanted["target"] == spec["targets"][0])]
    frames = []
    for name, time in zip(first["series"].astype(str), first["time"]):
        origin = places[name][time] + end
        assert origin >= rows_per_window, f"the window at {time} begins before the file"
        window = groups[name].iloc[origin - rows_per_window : origin].copy()
        if spec["ahead"]:
            # What a user cannot know yet.
            window[spec["targets"]] = window[spec["targets"]].astype(float)
            window.iloc[-horizon:, [window.columns.get_loc(target) for target in spec["targets"]]] = np.nan
        frames.append(window)
    rows = pd.concat(frames, ignore_index=True)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, feed_of(session, rows))))
    assert all(values.ndim == 1 and len(values) == horizon * len(frames) for values in found.values())
    failed, worst = 0, 0.0
    for target in spec["targets"]:
        part = wanted[wanted["target"] == target]
        scale = part["y_test"].abs().max()
        for column in [column for column in part if column.startswith("y_") and column != "y_test"]:
            difference = np.abs(found[f"{target}_{column[2:]}"] - part[column].values).max() / scale
            worst = max(worst, difference)
            if not difference <= TOLERANCE:
                print(f"{target} {column}: differs by {difference:.3g} of {scale:.3g}")
                failed += 1
    failed += check_missing(session, rows, found, spec, horizon)
    print(f"{len(frames)} windows, outputs {names}, largest difference {worst:.3g}")
    return 1 if failed or not frames else 0


def check_missing(session, rows, found, spec, horizon):
    """A missing value or an unknown series makes the forecasts of its window NaN, and of no other."""
    failed = 0
    per_window, target = spec["rows_per_window"], spec["targets"][0]
    last = per_window - (horizon if spec["ahead"] else 0) - 1
    cases = []
    types = {given.name: given.type for given in session.get_inputs()}
    if types[target] == "tensor(double)":
        cases.append((target, slice(last, last + 1), np.nan))
    group = spec["group"]
    if group in types:
        unknown = "nobody" if types[group] == "tensor(string)" else -5
        cases.append((group, slice(0, per_window), unknown))
        cases.append((group, slice(last, last + 1), unknown))
    for column, places, value in cases:
        changed = rows.copy()
        changed.loc[changed.index[places], column] = value
        again = dict(zip(found, session.run(None, feed_of(session, changed))))
        for name, values in again.items():
            is_right = np.isnan(values[:horizon]).all() and (values[horizon:] == found[name][horizon:]).all()
            if not is_right:
                print(f"{name}: {column} = {value} in the first window gives {values[:horizon]}")
                failed += 1
    return failed


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        sys.exit(main(json.load(file)))
