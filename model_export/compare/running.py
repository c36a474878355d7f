"""One run: learn, answer the test rows, take the time. What goes wrong becomes a reason."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

import msgspec
import numpy as np

from model_export.calibrate import Scored, best_f1_thresholds
from model_export.compare.plan import Run, training_rows
from model_export.compare.scoring import Outcome, score
from model_export.dataset.arrays import by_people, take
from model_export.dataset.rows import Dataset
from model_export.evaluate import answers
from model_export.strategies import Settings, load_strategy


def perform(run: Run, dataset: Dataset, settings: Settings, *, progress: bool) -> Outcome:
    """Learn from the run's rows and answer the test rows that people labelled.

    For ``multi``, each label's threshold is the best on the calibration rows, as in the report of a bundle.

    Raises:
        StrategyError, DataError: the strategy is not installed, or not fit for these rows. Others raise what their
            libraries do; see ``reason``.
    """
    strategy = load_strategy(run.strategy)
    train, test = training_rows(dataset.train, run), by_people(dataset.test, "test")
    nothing = take(dataset.calibration, np.arange(0))  # scoring after each epoch would only draw curves
    settings = msgspec.structs.replace(settings, seed=run.seed)
    start = time.perf_counter()
    fitted = strategy.fit(train, nothing, settings=settings, progress=progress)
    learned = time.perf_counter()
    probabilities = fitted.predict_proba(test.texts)
    answered = time.perf_counter()
    thresholds = None
    if dataset.task == "multi":
        calibration = by_people(dataset.calibration, "calibration")
        thresholds = best_f1_thresholds(Scored(fitted.predict_proba(calibration.texts), calibration.targets))
    given = answers(probabilities, thresholds)
    (scores,) = score([given], test.targets, len(dataset.labels))
    macro = scores.macro_f1.interval()
    metrics = {
        "macro_f1": macro.value,
        "macro_f1_low": macro.low,
        "macro_f1_high": macro.high,
        "micro_f1": scores.micro_f1.value,
        "accuracy": scores.accuracy.value,
        "fit_seconds": learned - start,
        "predict_ms": (answered - learned) * 1e6 / len(test.texts),
    }
    return Outcome(run, given, metrics, fitted.describe())


def reason(error: Exception) -> str:
    """Why a run failed. Our own errors say it themselves; of others only kind and place, for they may quote a text."""
    if type(error).__module__.startswith("model_export."):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
