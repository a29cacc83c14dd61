"""The peer of run.sh: Optuna's default sampler on the same problems, and the table of trainings that both sides read.

peer.py table RECORDS.jsonl.gz OUT.csv      the trainings, scaled to 0..1, as `mlp.csv`
peer.py run FOLDER SEEDS TRIALS             lines `problem seed trials best` and `problem cost trials milliseconds`
"""

import gzip
import json
import sys
import time
import warnings

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore")


def scaled(value, low, high):
    return np.log(value / low) / np.log(high / low)


def table(records, out):
    rows = [json.loads(line) for line in gzip.open(records, "rt")]
    with open(out, "w") as file:
        file.write("lr,alpha,batch,layers,width,act,solver,momentum,ll\n")
        for r in rows:
            cells = [scaled(r["lr"], 1e-5, 1e-1), scaled(r["alpha"], 1e-7, 1), scaled(r["batch"], 16, 256), (r["layers"] - 1) / 3,
                     scaled(r["width"], 8, 256), r["act"] // 2, r["solver"], r["momentum"] / 0.99, r["ll"]]
            file.write(",".join(map(repr, map(float, cells))) + "\n")


def branin(p):
    x, y = p["x0"], p["x1"]
    b, c, t = 5.1 / (4 * np.pi**2), 5 / np.pi, 1 / (8 * np.pi)
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - t) * np.cos(x) + 10 - 0.39788735772973816


ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
A = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
P = np.array([[0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886], [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
              [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650], [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381]])


def hartmann6(p):
    x = np.array([p[f"x{i}"] for i in range(6)])
    return 3.322368011391339 - float(ALPHA @ np.exp(-(A * (x - P) ** 2).sum(1)))


def rosenbrock5(p):
    x = np.array([p[f"x{i}"] for i in range(5)])
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def mlp(rows):
    def objective(p):
        point = [scaled(p["lr"], 1e-5, 1e-1), scaled(p["alpha"], 1e-7, 1), scaled(p["batch"], 16, 256), (p["layers"] - 1) / 3,
                 scaled(p["width"], 8, 256), p["act"], p["solver"], p.get("momentum", 0) / 0.99]
        distance = ((rows[:, :5] - point[:5]) ** 2).sum(1) + (rows[:, 5] != point[5]) + (rows[:, 6] != point[6])
        if point[6] == 1:
            distance += np.where(rows[:, 6] == 1, (rows[:, 7] - point[7]) ** 2, 0)
        near = np.argsort(distance, kind="stable")[:5]
        weights = 1 / (distance[near] + 1e-3)
        return float((weights * np.log(rows[near, 8])).sum() / weights.sum())
    return objective


def problems(folder):
    rows = np.loadtxt(f"{folder}/mlp.csv", delimiter=",", skiprows=1)
    floats = lambda n, low, high: {f"x{i}": FloatDistribution(low, high) for i in range(n)}
    yield "branin", {"x0": FloatDistribution(-5, 10), "x1": FloatDistribution(0, 15)}, branin
    yield "hartmann6", floats(6, 0, 1), hartmann6
    yield "rosenbrock5", floats(5, -5, 10), rosenbrock5
    yield "mlp", {"lr": FloatDistribution(1e-5, 1e-1, log=True), "alpha": FloatDistribution(1e-7, 1, log=True),
                  "batch": IntDistribution(16, 256, log=True), "layers": IntDistribution(1, 4), "width": IntDistribution(8, 256, log=True),
                  "act": CategoricalDistribution([0, 1]), "solver": CategoricalDistribution([0, 1]),
                  "momentum": FloatDistribution(0, 0.99)}, mlp(rows)


def suggest(trial, space):
    params = {}
    for name, distribution in space.items():
        if name != "momentum" or params["solver"] == 1:
            params[name] = trial._suggest(name, distribution)
    return params


def run(folder, seeds, n_trials):
    for name, space, objective in problems(folder):
        for seed in range(seeds):
            study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
            study.optimize(lambda trial: objective(suggest(trial, space)), n_trials=n_trials)
            values = [trial.value for trial in study.trials]
            for n in (30, 100):
                if n <= n_trials:
                    print(name, seed, n, min(values[:n]), flush=True)
        for n in (100, 1000):
            study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
            study.optimize(lambda trial: objective(suggest(trial, space)), n_trials=n)
            study.sampler = optuna.samplers.TPESampler(seed=0)
            start = time.perf_counter()
            for _ in range(20):
                suggest(study.ask(), space)
            print(name, "cost", n, 1000 * (time.perf_counter() - start) / 20, flush=True)


if sys.argv[1] == "table":
    table(*sys.argv[2:])
else:
    run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
