"""Our own tickets, the tiny model trained on them, and the scenario that ``make demo`` plays."""
