"""Runs in MLflow, a local SQLite file unless told otherwise: figures, settings and answers, never a ticket's text."""

from __future__ import annotations

import logging
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Nothing of ours is anybody else's business; MLflow reads these when it is imported.
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from model_export.compare.plan import Run
from model_export.compare.running import reason
from model_export.compare.scoring import Outcome

FINGERPRINT, DESCRIPTION, REASON = "presort.fingerprint", "presort.description", "presort.reason"
ANSWERS = "answers.npy"
PAGE = 1000

SQLITE = "sqlite:///"
ARTIFACTS = "mlflow-artifacts"
"""Folder beside the SQLite file."""


class TrackingError(Exception):
    """MLflow's store cannot be used; the message says why."""


class Store(NamedTuple):
    """An experiment in MLflow."""

    client: MlflowClient
    experiment: str


def open_store(uri: str, experiment: str) -> Store:
    """The experiment of that name, made if there is none; a new SQLite file takes some seconds.

    Raises:
        TrackingError: the store cannot be reached or is of a newer MLflow, or the experiment was deleted.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table it makes
    logging.getLogger("alembic").setLevel(logging.WARNING)
    artifacts = None  # a server knows where
    try:
        if uri.startswith(SQLITE):
            folder = Path(uri.removeprefix(SQLITE)).absolute().parent
            folder.mkdir(parents=True, exist_ok=True)
            artifacts = (folder / ARTIFACTS).as_uri()
        client = MlflowClient(uri)
        found = client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else client.create_experiment(experiment, artifacts)
    except (MlflowException, OSError) as error:
        raise TrackingError(f"MLflow cannot use {uri} ({error}): name another place with --mlflow") from error
    if found and found.lifecycle_stage == LifecycleStage.DELETED:
        raise TrackingError(f"the experiment {experiment} was deleted in {uri}: choose another --experiment")
    return Store(client, number)


def finished(store: Store, wanted: set[str]) -> dict[str, Outcome]:
    """The wanted runs that are finished, by fingerprint; one whose answers are gone is as good as never run."""
    found = {}
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment], "attributes.status = 'FINISHED'", max_results=PAGE, page_token=token
        )
        for one in page:
            fingerprint = one.data.tags.get(FINGERPRINT, "")
            outcome = _read(store, one) if fingerprint in wanted else None
            if outcome:
                found[fingerprint] = outcome
        token = page.token
        if not token:
            return found


def record(
    store: Store, run: Run, fingerprint: str, settings: Mapping[str, object], perform: Callable[[], Outcome]
) -> Outcome | str:
    """Perform a run and keep what it found.

    Args:
        store: where.
        run: which.
        fingerprint: of everything that decides its answers.
        settings: for those who read the runs later.
        perform: what takes the time.

    Returns:
        The outcome, or the reason why there is none; a failed run is tried again the next time.

    Raises:
        KeyboardInterrupt: the run is kept as killed.
    """
    made = store.client.create_run(
        store.experiment, tags={FINGERPRINT: fingerprint}, run_name=f"{run.strategy} {run.rows} seed {run.seed}"
    )
    number = made.info.run_id
    parameters = {"strategy": run.strategy, "rows": run.rows, "seed": run.seed, **settings}
    store.client.log_batch(number, params=[Param(key, str(value)) for key, value in parameters.items()])
    status = "KILLED"
    try:
        outcome = perform()
        _write(store, number, outcome)
        status = "FINISHED"
    except Exception as error:  # noqa: BLE001 - whatever breaks one run, the others go on
        status = "FAILED"
        store.client.set_tag(number, REASON, reason(error))
        return reason(error)
    finally:
        store.client.set_terminated(number, status)
    return outcome


def ui_command(uri: str) -> str:
    """How to look at the runs: with the whole MLflow of our version, in an environment of its own."""
    return shlex.join(["uvx", f"mlflow@{mlflow.__version__}", "ui", "--backend-store-uri", uri])


def _write(store: Store, number: str, outcome: Outcome) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ANSWERS
        np.save(path, outcome.answers)
        store.client.log_artifact(number, str(path))
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in outcome.metrics.items()]
    store.client.log_batch(number, metrics, tags=[RunTag(DESCRIPTION, outcome.description)])


def _read(store: Store, kept: MlflowRun) -> Outcome | None:
    parameters, tags = kept.data.params, kept.data.tags
    try:
        with tempfile.TemporaryDirectory() as folder:
            answers = np.load(store.client.download_artifacts(kept.info.run_id, ANSWERS, folder))
        return Outcome(
            run=Run(parameters["strategy"], int(parameters["rows"]), int(parameters["seed"])),
            answers=answers,
            metrics=kept.data.metrics,
            description=tags[DESCRIPTION],
        )
    except (MlflowException, OSError, ValueError, KeyError):
        return None
