"""The Outreach study's classical baseline: TF-IDF and gradient-boosted trees."""

from __future__ import annotations

from lightgbm import LGBMClassifier
from sklearn.feature_extraction.text import TfidfVectorizer

from model_export.dataset.rows import Split
from model_export.strategies import Settings
from model_export.strategies.columns import ByColumns, fit_columns

TREES = 100


def fit(
    train: Split,
    dev: Split,  # noqa: ARG001 - early stopping would use up the rows that the calibration needs
    *,
    settings: Settings,
    progress: bool = True,  # noqa: ARG001 - it takes a minute at most
) -> ByColumns:
    """Word 1-2-grams, 100 rounds of boosting; for ``multi`` one booster a label."""
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    matrix = features.fit_transform(train.texts)
    booster = LGBMClassifier(
        n_estimators=TREES,
        num_leaves=7,  # few words decide; larger trees only learn the rows by heart
        min_child_samples=5,  # the default of 20 leaves small labels without a single split
        reg_lambda=1.0,  # without it the steps explode where there are many labels, and answers are chance
        random_state=settings.seed,
        deterministic=True,
        force_row_wise=True,  # what ``deterministic`` asks for
        n_jobs=0,  # as many threads as OpenMP is told to use
        verbosity=-1,
    )
    predict = fit_columns(booster, matrix, train.targets, train.weights, settings.labels)
    return ByColumns(features.transform, predict, f"LightGBM, {TREES} rounds, on TF-IDF of {matrix.shape[1]} n-grams")
