"""Hudl's classifier: multinomial naive Bayes on the word n-grams that tell one category from the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from model_export.dataset.rows import Split
from model_export.strategies import Settings, StrategyError
from model_export.strategies.columns import ByColumns, fit_columns

WORDS = 5
SIGNAL_TO_BACKGROUND = 4.0
"""Texts of a label that contain a token, over texts of other labels that do: P(A|token) / (1 - P(A|token))."""


def fit(
    train: Split,
    dev: Split,  # noqa: ARG001 - there are no curves
    *,
    settings: Settings,
    progress: bool = True,  # noqa: ARG001 - it takes seconds
) -> ByColumns:
    """Count word 1-5-grams without stop words, keep the telling ones, fit naive Bayes; for ``multi`` one a label.

    Raises:
        StrategyError: no token is telling.
    """
    counter = CountVectorizer(ngram_range=(1, WORDS))
    counts = counter.fit_transform(train.texts)
    kept = _is_telling(counts, train) & ~_is_stop(counter.get_feature_names_out())
    if not kept.any():
        raise StrategyError(
            f"no token is {SIGNAL_TO_BACKGROUND:.0f} times as frequent in one label as in the others together: "
            "give more rows, or choose tfidf_linear"
        )
    predict = fit_columns(MultinomialNB(), counts[:, kept], train.targets, train.weights, settings.labels)
    return ByColumns(
        lambda texts: counter.transform(texts)[:, kept],
        predict,
        f"naive Bayes on {kept.sum()} of {len(kept)} word 1-{WORDS}-grams",
    )


def _is_telling(counts: Any, train: Split) -> NDArray[np.bool_]:  # noqa: ANN401 - a sparse matrix, (N, tokens)
    member = train.targets if train.targets.ndim > 1 else np.eye(train.targets.max() + 1)[train.targets]
    present = (counts > 0).T.astype(np.float64)
    inside = present @ (member * train.weights[:, None])
    total = (present @ train.weights)[:, None]
    telling: NDArray[np.bool_] = (inside > SIGNAL_TO_BACKGROUND * (total - inside)).any(axis=1)
    return telling


def _is_stop(tokens: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.array([all(word in ENGLISH_STOP_WORDS for word in token.split()) for token in tokens])
