"""Runs exported networks in onnxruntime and compares them with what Rust computed.

Usage: python check_onnx.py FOLDER

FOLDER/cases.json: a list of {file, inputs: {name: {type, shape, values}}, outputs: {name: {shape, values}}}.
Prints the largest difference; exits with 1 where one is above 1e-5 of the output's largest value.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-5


def main(folder: Path) -> int:
    cases = json.loads((folder / "cases.json").read_text())
    worst, failed = (0.0, ""), 0
    for case in cases:
        path = folder / case["file"]
        onnx.checker.check_model(onnx.load(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        inputs = {
            name: np.array(given["values"], dtype=given["type"]).reshape(given["shape"])
            for name, given in case["inputs"].items()
        }
        found = dict(zip((output.name for output in session.get_outputs()), session.run(None, inputs)))
        for name, wanted in case["outputs"].items():
            values = np.array(wanted["values"]).reshape(wanted["shape"])
            if found[name].shape != values.shape:
                print(f"{case['file']}: `{name}` has shape {found[name].shape}, wanted {values.shape}")
                failed += 1
                continue
            scale = max(1.0, float(np.abs(values).max()))
            difference = float(np.abs(found[name] - values).max()) / scale
            worst = max(worst, (difference, case["file"]))
            if not difference <= TOLERANCE:
                print(f"{case['file']}: `{name}` differs by {difference:.3g} of {scale:.3g}")
                failed += 1
    print(f"{len(cases)} models, {failed} failed, largest difference {worst[0]:.3g} in {worst[1]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
