"""``presort-model`` as a person types it, and tickets to type it for."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from model_export.cli import main

START = datetime(2026, 1, 1, tzinfo=UTC)


class Trained(NamedTuple):
    """What one ``train`` left, and what it printed."""

    bundle: Path
    network: Path
    printed: str


def run(*arguments: object) -> str:
    """What a command that goes well prints."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def refusal(*arguments: object) -> str:
    """What a command says that cannot do what it was told; a traceback is no way to say it."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return result.output


def write_tickets(path: Path, texts: Iterable[str], labels: Iterable[str]) -> Path:
    """A CSV file, a ticket an hour."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ticket_id", "created_at", "subject", "description", "label"])
        for number, (text, label) in enumerate(zip(texts, labels, strict=True)):
            writer.writerow([number, (START + timedelta(hours=number)).isoformat(), "", text, label])
    return path
