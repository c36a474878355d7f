"""``python -m integration.simulator``."""

from integration.simulator.cli import simulate

simulate()
