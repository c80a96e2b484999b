"""The DVC stages and the commands beside them: read params, call gen, write outs."""

import os

SETTINGS = {
    # Nothing phones home.
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    # An outage of MLflow is noticed in seconds instead of minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # The trainer that this is written for.
    "RAY_TRAIN_V2_ENABLED": "1",
    # Ray Tune reports what a trial has, leaves Ctrl-C to the stage, and gives a trial that is ended time to save.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",
    # Stages have a progress, tables and logs of their own.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Nothing here gives jobs to MLflow's server; without processes for them it is up in ten seconds, not fifty.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Of Ray and MLflow, set here because they read some of it when they are imported; what people have set stays."""

os.environ.update(SETTINGS | dict(os.environ))
