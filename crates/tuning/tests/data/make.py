"""Values of Optuna 5 that the tests compare with: pruners, importance. `python make.py > optuna.json`"""

import json

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

optuna.logging.set_verbosity(optuna.logging.ERROR)


def pruned(pruner, direction, curves, name):
    """Steps at which a sequence of trials is ended, each after the ones before it; null for none."""
    study = optuna.create_study(study_name=name, direction=direction, pruner=pruner)
    ends = []
    for curve in curves:
        trial, end = study.ask(), None
        for step, value in enumerate(curve, 1):
            trial.report(value, step)
            if trial.should_prune():
                end = step
                break
        study.tell(trial, None if end else curve[-1], state=TrialState.PRUNED if end else TrialState.COMPLETE)
        ends.append(end)
    return ends


rng = np.random.default_rng(0)
curves = [[round(float(x), 4) for x in rng.uniform() * (1 - np.exp(-np.arange(1, 28) / 6)) + rng.normal(0, 0.03, 27)] for _ in range(60)]
pruners = {
    "median": optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=4),
    "asha": optuna.pruners.SuccessiveHalvingPruner(min_resource=3, reduction_factor=3),
    "hyperband": optuna.pruners.HyperbandPruner(min_resource=3, max_resource=27, reduction_factor=3),
}
out = {"curves": curves, "pruned": {
    f"{name} {direction}": pruned(pruner, direction, curves, "golden") for name, pruner in pruners.items() for direction in ("maximize", "minimize")}}

space = {"x": FloatDistribution(-2, 3), "lr": FloatDistribution(1e-5, 1e-1, log=True), "n": IntDistribution(1, 7),
         "batch": IntDistribution(8, 256, log=True), "step": FloatDistribution(0, 1, step=0.25),
         "kind": CategoricalDistribution(["a", "b", "c"]), "momentum": FloatDistribution(0, 1)}
study, rows = optuna.create_study(), []
for _ in range(80):
    params = {"x": rng.uniform(-2, 3), "lr": 10 ** rng.uniform(-5, -1), "n": int(rng.integers(1, 8)), "batch": int(2 ** rng.uniform(3, 8)),
              "step": float(rng.integers(0, 5)) / 4, "kind": "abc"[rng.integers(3)], "momentum": rng.uniform()}
    if params["kind"] != "b":
        del params["momentum"]
    value = (params["x"] - 1) ** 2 + abs(np.log10(params["lr"]) + 3) * 0.7 + 0.1 * params["n"] + ("abc".index(params["kind"])) * 0.5
    study.add_trial(create_trial(params=params, distributions={k: space[k] for k in params}, value=value))
    rows.append({"params": {k: float(space[k].to_internal_repr(v)) for k, v in params.items()}, "value": value})
out["importance"] = {"rows": rows, "shares": optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())}
print(json.dumps(out))
