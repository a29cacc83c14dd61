"""Prints the DDL that this MLflow gives a fresh database, as JSON."""

import json
import sqlite3
import sys

from mlflow.tracking import MlflowClient

MlflowClient(f"sqlite:///{sys.argv[1]}").search_experiments()
rows = sqlite3.connect(sys.argv[1]).execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
print(json.dumps([sql for (sql,) in rows]))
