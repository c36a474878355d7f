"""OpenTelemetry traces, one a ticket, from how Presort heard of it to what became of it.

Only where ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set and the extra ``otel`` is installed; nothing is imported
otherwise, and every function here returns at once. A trace travels in the message, as a W3C ``traceparent``.
Spans are noted after the fact: a batch holds many tickets, each with a trace of its own, so there is no current one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

log = logging.getLogger("presort.traces")

Attribute = str | int | float | bool

_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def configure(process: str, *, exporter: SpanExporter | None = None) -> None:
    """Send this process's spans from now on; to where the ``OTEL_`` variables say, or to an exporter.

    Without the extra a warning is all that happens: a variable that is set for a whole cluster must not stop a worker.

    Args:
        process: ``presort-receiver``, ``presort-worker``: the service, unless ``OTEL_SERVICE_NAME`` names another.
        exporter: instead of OTLP over HTTP.
    """
    global _provider, _tracer  # noqa: PLW0603 - one a process, as with logging
    try:
        # Imported here: most installations have none of it.
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

            exporter = OTLPSpanExporter()
    except ImportError as error:
        log.warning("no traces are sent: %s; pip install 'presort[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT", error)
        return
    named = Resource({"service.name": process}).merge(OTELResourceDetector().detect())
    _provider = TracerProvider(resource=named)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("presort")


def close() -> None:
    """Send what was not sent yet, and no more."""
    global _provider, _tracer  # noqa: PLW0603 - see above
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


@contextmanager
def root(name: str, *, ticket: int, asked: bool = False) -> Iterator[str | None]:
    """A ticket's trace begins with what happens within; yields its ``traceparent``, None while nothing is traced.

    Args:
        name: of how Presort heard of it.
        ticket: its id.
        asked: somebody's request tells of it, and is answered when this ends.
    """
    if _tracer is None:
        yield None
        return
    from opentelemetry import trace  # noqa: PLC0415 - see above
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier: dict[str, str] = {}
    kind, about = trace.SpanKind.SERVER if asked else trace.SpanKind.INTERNAL, {"presort.ticket": ticket}
    with _tracer.start_as_current_span(
        name,
        kind=kind,
        attributes=about,
        record_exception=False,  # an error's text may hold an address
        set_status_on_exception=False,
    ):
        TraceContextTextMapPropagator().inject(carrier)
        yield carrier.get("traceparent")


def note(name: str, parent: str | None, began: float, ended: float, **attributes: Attribute | None) -> None:
    """A span that is over.

    Args:
        name: of what took the time.
        parent: the ticket's ``traceparent``; nothing is noted without one.
        began: Unix seconds.
        ended: Unix seconds.
        attributes: ids, codes and numbers, those that are not None, as ``presort.<name>``; never a ticket's text.
    """
    if _tracer is None or parent is None:
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - see above

    known = {f"presort.{key}": value for key, value in attributes.items() if value is not None}
    context = TraceContextTextMapPropagator().extract({"traceparent": parent})
    span = _tracer.start_span(name, context, attributes=known, start_time=int(began * 1e9))
    span.end(int(max(began, ended) * 1e9))
