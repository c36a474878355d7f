"""Decides and acts: the only package that imports both others."""

import os

# One process, one thread: several would fight for cores with the other workers. numpy looks at it when first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
