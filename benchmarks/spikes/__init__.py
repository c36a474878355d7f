"""How well spikes are found: ``python -m benchmarks.spikes``."""
