#!/usr/bin/env bash
# MLflow's database store gives back 1.8e308 for infinity.
#
# A loss that overflowed is logged as infinity and read as the largest number of a double, which is finite: a
# check for failed runs by isfinite passes, and a chart's axis is 308 digits high. NaN does come back as NaN.
# Versions: mlflow 3.17.2, its default store (SQLite).
# Source: a comment in mlflow/store/tracking/sqlalchemy_store.py; not in the documentation of log_metric.
# raygen: gives trackers finite numbers alone; guards look at the others (raygen/training/engine/recorder.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.20.1
look <<'PY'
import logging
import math

import mlflow
from verdict import verdict

logging.disable(logging.WARNING)
client = mlflow.MlflowClient(tracking_uri="sqlite:///mlflow.db")
run = client.create_run(client.create_experiment("losses")).info.run_id
client.log_metric(run, "infinite", math.inf)
client.log_metric(run, "nan", math.nan)
values = client.get_run(run).data.metrics
verdict(
    expected="inf and nan",
    seen=f"{values['infinite']} (finite: {math.isfinite(values['infinite'])}) and {values['nan']}",
    holds=math.isfinite(values["infinite"]) and math.isnan(values["nan"]),
)
PY
