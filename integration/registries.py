"""The contract of orders to a registry of models: what a person asks of it, and what a worker answers.

Only workers reach a registry: they have its libraries and its credentials. Orders travel as questions do
(``integration.asking``), so each is carried out once, and not after whoever gave it went away.
"""

from __future__ import annotations

from typing import Literal

import msgspec

NEWEST = 20
"""Versions that are told of: each costs a read of the registry."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of the registry that a classifier's model comes from.

    Attributes:
        classifier: the worker knows by its own settings where that registry is.
        task: tell what is published; make a version active; make the previous one active again; hand a version's
            report out.
        version: to promote, the staged one unless given; or whose report.
        force: promote in spite of the figures.
        by: who wants it, for the record.
    """

    classifier: str
    task: Literal["list", "promote", "rollback", "report"] = "list"
    version: str | None = None
    force: bool = False
    by: str = ""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is published.

    Attributes:
        created: RFC 3339, UTC.
        base: the pretrained model or the architecture it was made from.
        macro_f1: on its own test rows; None where nobody measured it.
        channels: of ``staged``, ``active`` and ``previous`` those that name it.
        report: whether it came with one.
        size: bytes of all its files.
    """

    version: str
    created: str
    base: str = ""
    macro_f1: float | None = None
    channels: tuple[str, ...] = ()
    report: bool = False
    size: int = 0


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order.

    Attributes:
        name: of the model.
        versions: what is published now, newest first: ``NEWEST`` of them, and those that a channel names.
        report: the page, HTML in one file.
        refusal: why the figures speak against a promotion, a sentence each; force would promote all the same.
        error: why nothing was done otherwise.
    """

    name: str = ""
    versions: tuple[Published, ...] = ()
    report: str | None = None
    refusal: tuple[str, ...] = ()
    error: str | None = None
