"""Parses filters, read as JSON from stdin, with MLflow's own parser: a list of [entity, key, comparator, value] each."""

import json
import sys

from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchUtils


def clause(parsed):
    value = parsed["value"]
    numeric = parsed["type"] == "metric" or parsed["key"] in SearchUtils.NUMERIC_ATTRIBUTES
    if numeric:
        value = float(value)
    return [parsed["type"], parsed["key"], parsed["comparator"], value]


def parse(text):
    try:
        return [clause(parsed) for parsed in SearchUtils.parse_search_filter(text)]
    except MlflowException as error:
        return str(error)


print(json.dumps([parse(text) for text in json.load(sys.stdin)]))
