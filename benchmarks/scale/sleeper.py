"""A worker whose model sleeps instead of computing: ``python -m benchmarks.scale.sleeper SECONDS run``.

All else is the product's: the bundle is loaded and asked its golden sequences, texts are prepared and cut into tokens.
Only what would run the graph waits for so many seconds a ticket, as a session on another device would, and answers
the first label. So many workers fit on few cores, and what is measured is the queue, the store and the writes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.bundle.predictor import Predictor, Tokens
from worker import models
from worker.cli import main

SURE = 9.0
"""The first label's logit; the others have 0."""


def sleeping(seconds: float) -> type[Predictor]:
    """A predictor that takes so long for each ticket."""

    class Sleeping(Predictor):
        def logits(self, sequences: Sequence[Tokens]) -> NDArray[np.float32]:
            time.sleep(seconds * len(sequences))
            answers = np.zeros((len(sequences), len(self.manifest.labels)), dtype=np.float32)
            answers[:, 0] = SURE
            return answers

    return Sleeping


if __name__ == "__main__":
    setattr(models, "Predictor", sleeping(float(sys.argv.pop(1))))  # noqa: B010 - mypy knows that it is a class
    main()
