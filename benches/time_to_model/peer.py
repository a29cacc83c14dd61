"""What a practitioner writes in Python for the job of train_tabular_mlp: one file, torch + scikit-learn + MLflow.

Same file, split column, preprocessing, network, optimizer, schedule, number of epochs, per-epoch metrics, checkpoints,
plots, predictions and model artifact. Prints the test AUC. Arguments: CSV, tracking URI, epochs, seed, threads.
"""

import json
import os
import pickle
import sys
import tempfile

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
import torch
from sklearn import metrics
from sklearn.calibration import CalibrationDisplay
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

path, uri, epochs, seed, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
torch.set_num_threads(threads)
torch.manual_seed(seed)
mlflow.set_tracking_uri(uri)
mlflow.set_experiment("adult_peer")

frame = pd.read_csv(path, na_values=["?"])
part = frame.pop("split")
y = (frame.pop("class").str.strip() == ">50K").astype("float32").to_numpy()
numbers = frame.select_dtypes("number").columns.tolist()
categories = [c for c in frame.columns if c not in numbers]
encode = ColumnTransformer([
    ("num", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
    ("cat", make_pipeline(SimpleImputer(strategy="constant", fill_value="<missing>"),
                          OneHotEncoder(handle_unknown="ignore", sparse_output=False)), categories),
])
is_train, is_valid, is_test = part == "train", part == "val", part == "test"
encode.fit(frame[is_train])


def tensors(rows):
    return torch.tensor(encode.transform(frame[rows]).astype("float32")), torch.tensor(y[rows.to_numpy()])


(x_train, y_train), (x_valid, y_valid), (x_test, y_test) = tensors(is_train), tensors(is_valid), tensors(is_test)
width, batch_size, peak, warmup = x_train.shape[1], 256, 1e-3, 1.0
model = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Dropout(0.3),
                      nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=5e-2, fused=True)
steps = -(-len(x_train) // batch_size)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / (warmup * steps), 0.5 * (
    1 + np.cos(np.pi * max(0.0, step - warmup * steps) / ((epochs - warmup) * steps)))))
loss_of = nn.BCEWithLogitsLoss()


def scores(prefix, target, probability, loss):
    called = probability >= 0.5
    return {f"{prefix}_{name}": float(value) for name, value in {
        "loss": loss, "auc": metrics.roc_auc_score(target, probability),
        "accuracy": metrics.accuracy_score(target, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(target, called),
        "log_loss": metrics.log_loss(target, probability), "brier": metrics.brier_score_loss(target, probability),
        "average_precision": metrics.average_precision_score(target, probability),
        "precision": metrics.precision_score(target, called, zero_division=0),
        "recall": metrics.recall_score(target, called), "f1": metrics.f1_score(target, called),
        "mcc": metrics.matthews_corrcoef(target, called)}.items()}


def predict(x, target):
    model.eval()
    with torch.no_grad():
        logit = torch.cat([model(chunk).squeeze(1) for chunk in x.split(8192)])
    model.train()
    return torch.sigmoid(logit).numpy(), loss_of(logit, target).item()


folder = tempfile.mkdtemp()
with mlflow.start_run(run_name=f"peer__seed={seed}"):
    mlflow.log_params({"epochs": epochs, "batch_size": batch_size, "learning_rate": peak, "hidden_dims": [256, 256],
                       "dropout": 0.3, "weight_decay": 5e-2, "seed": seed, "n_features": width})
    history, best, best_epoch = [], -1.0, 0
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(x_train))
        total, logits = 0.0, []
        for batch in order.split(batch_size):
            optimizer.zero_grad()
            logit = model(x_train[batch]).squeeze(1)
            loss = loss_of(logit, y_train[batch])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
            logits.append(logit.detach())
        row = scores("train", y_train[order].numpy(), torch.sigmoid(torch.cat(logits)).numpy(), total / len(x_train))
        row |= scores("val", y_valid.numpy(), *predict(x_valid, y_valid))
        mlflow.log_metrics(row | {"learning_rate": schedule.get_last_lr()[0]}, step=epoch)
        history.append(row)
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, f"{folder}/last.pt")
        if row["val_auc"] > best:
            best, best_epoch = row["val_auc"], epoch
            torch.save(model.state_dict(), f"{folder}/best.pt")
    model.load_state_dict(torch.load(f"{folder}/best.pt"))
    for prefix, x, target in [("final_train", x_train, y_train), ("final_val", x_valid, y_valid), ("test", x_test, y_test)]:
        probability, loss = predict(x, target)
        result = scores(prefix, target.numpy(), probability, loss)
        mlflow.log_metrics(result, step=best_epoch)
    pd.DataFrame(history).to_csv(f"{folder}/training_history.csv")
    raw = frame[is_test].assign(y_test=y_test.numpy(), y_proba=probability, y_pred=(probability >= 0.5).astype(int))
    raw.to_csv(f"{folder}/test_predictions.csv", index=False)
    figures = {"roc": metrics.RocCurveDisplay.from_predictions, "pr": metrics.PrecisionRecallDisplay.from_predictions,
               "calibration": lambda t, p: CalibrationDisplay.from_predictions(t, p, n_bins=15),
               "confusion": lambda t, p: metrics.ConfusionMatrixDisplay.from_predictions(t, p >= 0.5)}
    for name, draw in figures.items():
        figure = draw(y_test.numpy(), probability).figure_
        for extension in ("png", "svg"):
            figure.savefig(f"{folder}/{name}.{extension}", dpi=150)
        plt.close(figure)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for axis, name in zip(axes, ("loss", "auc")):
        for prefix in ("train", "val"):
            axis.plot([row[f"{prefix}_{name}"] for row in history], label=prefix)
        axis.legend()
    for extension in ("png", "svg"):
        figure.savefig(f"{folder}/learning_curves.{extension}", dpi=150)
    with open(f"{folder}/preprocessor.pkl", "wb") as file:
        pickle.dump(encode, file)
    mlflow.log_artifacts(folder)
    print(json.dumps({"test_auc": result["test_auc"], "best_epoch": best_epoch, "pid": os.getpid()}))
