"""The peers of run.sh: onnxruntime on the same graph, and a scikit-learn pipeline. Prints `NAME FORMAT seconds inference_seconds`."""

import sys
import time

import numpy as np
import pandas as pd


def read(path):
    return pd.read_csv(path) if path.endswith("csv") else pd.read_parquet(path)


def write(frame, path):
    frame.to_csv(path, index=False) if path.endswith("csv") else frame.to_parquet(path, index=False)


def make(source, rows, stem):
    frame = pd.read_csv(source)
    frame = frame[frame["split"] == "test"].drop(columns="split")
    frame = pd.concat([frame] * (int(rows) // len(frame) + 1)).head(int(rows))
    frame.to_csv(f"{stem}.csv", index=False)
    frame.to_parquet(f"{stem}.parquet", index=False)


def with_onnxruntime(model, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(f"{model}/model.onnx", options, providers=["CPUExecutionProvider"])
    texts = {given.name: given.type == "tensor(string)" for given in session.get_inputs()}

    def predict(frame):
        # As much at once as is good for it: tried were 1,000 to all rows.
        parts = []
        for start in range(0, len(frame), 16_384):
            part = frame.iloc[start : start + 16_384]
            feed = {name: part[name].to_numpy(object if text else np.float64) for name, text in texts.items()}
            parts.append(session.run(["y_pred", "y_proba"], feed))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    return predict


def with_sklearn(source, threads):
    import threadpoolctl
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    threadpoolctl.threadpool_limits(threads)
    train = pd.read_csv(source)
    train = train[train["split"] == "train"]
    inputs = train.drop(columns=["split", "class"])
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    pipeline = make_pipeline(columns, MLPClassifier((256, 256), max_iter=1)).fit(inputs, train["class"])

    def predict(frame):
        proba = pipeline.predict_proba(frame)[:, 1]
        return pipeline.classes_[(proba >= 0.5).astype(int)], proba

    return predict


def table(log, rows):
    seconds = {}
    for line in open(log):
        name, form, *values = line.split()
        seconds.setdefault((form, name), []).append([float(value) for value in values])
    for form in ["csv", "parquet"]:
        ours = np.median(seconds[form, "ours"], axis=0)
        for name in ["ours", "onnxruntime", "sklearn"]:
            whole, inference = np.median(seconds[form, name], axis=0)
            ratio = f"{whole / ours[0]:5.2f} {inference / ours[1]:5.2f}"
            print(f"{form:8} {name:12} {int(rows) / whole:10,.0f} rows/s, predictions alone {int(rows) / inference:10,.0f} rows/s; ours is {ratio} times as fast")


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    if what == "make":
        make(*args)
    elif what == "table":
        table(*args)
    else:
        model, source, target, threads, train = args
        predict = with_onnxruntime(model, int(threads)) if what == "onnxruntime" else with_sklearn(train, int(threads))
        start = time.perf_counter()
        frame = read(source)
        read_at = time.perf_counter()
        labels, proba = predict(frame)
        predicted_at = time.perf_counter()
        write(frame.assign(y_pred=labels, y_proba=proba), target)
        end = time.perf_counter()
        print(what, source.rsplit(".", 1)[1], end - start, predicted_at - read_at)
