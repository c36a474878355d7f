"""The webhook's door: verify, set duplicates aside, publish, answer; nothing else."""

from integration.receiver.app import create_app

__all__ = ["create_app"]
