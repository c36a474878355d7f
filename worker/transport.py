"""Kombu's Redis transport, with entries of a queue that are no messages parked; kombu's own dies of them."""

from __future__ import annotations

import base64
import json
import logging
from contextlib import suppress
from queue import Empty
from typing import Any, ClassVar

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, QoS, Transport
from redis.exceptions import OutOfMemoryError

from worker.batching import Park

log = logging.getLogger("presort.worker")


class _PatientQoS(QoS):
    def restore_visible(self, *place: Any, **options: Any) -> None:  # noqa: ANN401 - kombu's signature
        # Raised, it would let Celery connect anew, several times a second for as long as Redis is full, and the
        # connections of each time stay open. What others held too long is given back once there is room.
        with suppress(OutOfMemoryError):
            super().restore_visible(*place, **options)  # type: ignore[no-untyped-call]  # kombu leaves it untyped


class _ParkingChannel(Channel):
    connection: ParkingTransport
    QoS = _PatientQoS

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401 - kombu's signature
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # kombu leaves it untyped
        except json.JSONDecodeError as error:
            self.connection.refuse(error.doc, "an entry of a queue that is no JSON")
        except RecursionError:
            self.connection.refuse("not kept", "an entry of a queue that is nested too deeply")
        raise Empty  # kombu's word for: nothing came, wait for the next


class ParkingTransport(Transport):
    """Its ``park`` is set before the first connection."""

    Channel = _ParkingChannel
    park: ClassVar[Park]

    def refuse(self, entry: object, reason: str) -> None:
        """Park what a queue held; the log does not say what it is, for it may be a ticket's text."""
        log.error("parked: %s", reason)
        type(self).park("?", entry, reason)

    def _deliver(self, message: Any, queue: str) -> None:  # noqa: ANN401 - any JSON at all
        if _is_message(message):
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]  # kombu leaves it untyped
        else:
            self.refuse(message, f"an entry of {queue} that is no message")


def install(park: Park) -> None:
    """Let this process's connections park what they cannot read; to be called before the first of them."""
    ParkingTransport.park = staticmethod(park)
    # By the names of the URL's schemes, on which kombu's treatment of TLS depends.
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{ParkingTransport.__name__}"


def _is_message(entry: Any) -> bool:  # noqa: ANN401 - any JSON at all
    """Whether kombu can make a message of it and, if need be, put it back."""
    match entry:
        case {"properties": {"delivery_tag": str(), "delivery_info": {"exchange": str(), "routing_key": str()}}}:
            try:
                base64.b64decode(entry.get("body") or b"")
            except (TypeError, ValueError):
                return False
            return entry["properties"].get("body_encoding") in {None, "base64"}
        case _:
            return False
