"""How right the models are, on public data: ``python -m benchmarks.accuracy``."""
