"""A scikit-learn classifier for either task, with one column for every label whether it was seen or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from model_export.dataset.rows import DataError

Predict = Callable[[Any], NDArray[np.float32]]


class ByColumns(NamedTuple):
    """Texts to features, features to probabilities: what the classical strategies have learned.

    Attributes:
        features: from N texts to a dense or a sparse matrix, (N, features).
        predict: what ``fit_columns`` gave.
        summary: what ``describe`` says.
    """

    features: Callable[[Sequence[str]], Any]
    predict: Predict
    summary: str

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities, (N, L)."""
        return self.predict(self.features(texts))

    def describe(self) -> str:
        """Features and classifier."""
        return self.summary


def fit_columns(
    classifier: Any,  # noqa: ANN401 - scikit-learn's estimators share no type, only methods
    features: Any,  # noqa: ANN401 - a dense or a sparse matrix
    targets: NDArray[np.int64],
    weights: NDArray[np.float32],
    labels: int,
) -> Predict:
    """Fit one classifier for ``single``, one a label for ``multi``.

    Args:
        classifier: has ``fit`` with ``sample_weight``, and ``predict_proba``.
        features: (N, features).
        targets: (N,) or (N, L), as in ``Split``.
        weights: (N,).
        labels: L.

    Returns:
        From features of other rows, (M, features), to probabilities, (M, L).

    Raises:
        DataError: the rows of a ``single`` task show one label only.
    """
    if targets.ndim > 1:
        models = [_fit_one(clone(classifier), features, column, weights) for column in targets.T]
        return lambda other: np.column_stack([model(other) for model in models])
    if len(np.unique(targets)) < 2:
        raise DataError(f"all {len(targets)} training rows have the same label: give rows of at least two")
    classifier.fit(features, targets, sample_weight=weights)

    def predict(other: Any) -> NDArray[np.float32]:  # noqa: ANN401 - as above
        out = np.zeros((other.shape[0], labels), dtype=np.float32)
        out[:, classifier.classes_] = classifier.predict_proba(other)
        return out

    return predict


def _fit_one(classifier: Any, features: Any, column: NDArray[np.int64], weights: NDArray[np.float32]) -> Predict:  # noqa: ANN401 - as above
    if column.min() == column.max():  # a label that all rows or no row has
        return lambda other: np.full(other.shape[0], column[0], dtype=np.float32)
    classifier.fit(features, column, sample_weight=weights)
    return lambda other: classifier.predict_proba(other)[:, 1].astype(np.float32)
