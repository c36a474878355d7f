"""How processes log: one line an event, for people, or as JSON with ``PRESORT_LOG=json``; both with the same fields.

A line about a ticket says which one in fields of its own, so that ``ticket=4711`` finds its whole way through all
processes. Only ``FIELDS`` are written: what a library hangs onto its records may hold ticket text.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from integration.messages import Decision

Format = Literal["text", "json"]

FIELDS = (
    "ticket", "tickets", "delivery", "classifier", "decision", "action", "model",
    "outcome", "reason", "job", "after_s",
)  # fmt: skip
"""What a record may carry in ``extra``; docs/operations.md says what each means."""


def document(form: Format, level: str = "INFO") -> dict[str, Any]:
    """What ``logging.config.dictConfig`` takes: all loggers through one handler, to standard error."""
    # Two lines a second about periodic tasks that went well; their failures are logged above INFO.
    chatty = ("celery.worker.strategy", "celery.app.trace", "celery.beat")
    # gunicorn gives its own logger a handler before it reads this.
    ours = {"gunicorn.error": {"level": level, "handlers": [], "propagate": True}}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"presort": {"()": Json if form == "json" else Text}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "presort"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": ours | {name: {"level": "WARNING"} for name in chatty},
    }


def of(decision: Decision) -> dict[str, object]:
    """The fields of a line about a decision."""
    return {"ticket": decision.ticket_id, "classifier": decision.classifier, "decision": decision.id}


class Text(logging.Formatter):
    """``2026-11-24 14:25:49.120Z INFO presort.writing: filled ticket=4711 classifier=category``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and what an exception adds."""
        fields = "".join(f" {name}={_word(value)}" for name, value in _fields(record).items())
        line = f"{_at(record, ' ')} {record.levelname} {record.name}: {_one_line(record.getMessage())}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Json(logging.Formatter):
    """One JSON object a line: ``at``, ``level``, ``logger``, ``message``, ``FIELDS``, and an exception's ``trace``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told = {"at": _at(record, "T"), "level": record.levelname, "logger": record.name}
        entry = {**told, "message": record.getMessage(), **_fields(record)}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return _encode(entry)


_encode = json.JSONEncoder(default=str).encode


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    carried = record.__dict__
    return {name: carried[name] for name in FIELDS if name in carried}


def _at(record: logging.LogRecord, between: str) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(between, "milliseconds").replace("+00:00", "Z")


def _word(value: object) -> str:
    """What cannot be mistaken for two fields."""
    word = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return word if word and word.isprintable() and not set(word) & {" ", "=", '"'} else json.dumps(word)


def _one_line(message: str) -> str:
    """A line is one event, whatever was put into it."""
    return message.replace("\r", "\\r").replace("\n", "\\n")
