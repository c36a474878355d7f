"""``python -m worker`` is ``presort-worker``."""

from worker.cli import main

main(prog_name="presort-worker")
