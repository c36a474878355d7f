"""The classical baseline: TF-IDF of words and of letters, and logistic regression."""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union

from model_export.dataset.rows import Split
from model_export.strategies import Settings
from model_export.strategies.columns import ByColumns, fit_columns

C = 30.0
"""Weak regularisation: rows of unit length with thousands of features need large weights to say anything."""

ITERATIONS = 300


def fit(
    train: Split,
    dev: Split,  # noqa: ARG001 - there are no curves
    *,
    settings: Settings,
    progress: bool = True,  # noqa: ARG001 - it takes seconds
) -> ByColumns:
    """Word 1-2-grams and letter 2-5-grams, which forgive misspelling; for ``multi`` one regression a label."""
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
    )
    matrix = features.fit_transform(train.texts)
    regression = LogisticRegression(C=C, max_iter=ITERATIONS)
    predict = fit_columns(regression, matrix, train.targets, train.weights, settings.labels)
    return ByColumns(features.transform, predict, f"logistic regression on TF-IDF of {matrix.shape[1]} n-grams")
