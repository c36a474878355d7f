"""One trace a ticket, from its webhook to what became of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from integration import backfills, messages, tracing
from integration.receiver.app import create_app
from integration.store import Store
from integration.zendesk import signature
from tests.conftest import SECRET, need
from tests.simulator.support import Running
from tests.worker.conftest import ACCOUNT, SURE, Desk, Sink, queued
from worker import backfilling, reconcile
from worker.parts import Parts

memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")


@pytest.fixture
def spans() -> Iterator[Callable[[], list[Any]]]:
    """Everything that was traced, when asked for; then nothing more is."""
    exporter = memory.InMemorySpanExporter()
    tracing.configure("presort-test", exporter=exporter)

    def finished() -> list[Any]:
        tracing.close()
        return list(exporter.get_finished_spans())

    yield finished
    tracing.close()


def deliver(parts: Parts, ticket_id: int, **more: object) -> None:
    """The signed webhook of a trigger, which tells the ticket's id alone."""
    timestamp, body = datetime.now(UTC).isoformat(), json.dumps({"ticket_id": ticket_id, **more}).encode()
    signed = {
        signature.TIMESTAMP_HEADER: timestamp,
        signature.SIGNATURE_HEADER: signature.sign(SECRET, timestamp, body),
    }
    client = create_app(parts.config).test_client()
    answer = client.post("/webhooks/zendesk", data=body, headers=signed, content_type="application/json")
    assert answer.json == {"status": "accepted", "reason": "queued"}


def work_through(desk: Desk, tickets: int) -> list[int]:
    """Tickets filed, delivered, classified as one batch and written."""
    ids = [desk.zendesk.create(*SURE[:2]) for _ in range(tickets)]
    for ticket_id in ids:
        deliver(desk.parts, ticket_id)
    desk.classify(*queued(desk.parts.store))
    desk.parts.store.redis.delete(messages.TICKETS_QUEUE)
    desk.settle()
    return ids


def test_a_ticket_has_one_trace_from_webhook_to_write(desk: Desk, spans: Callable[[], list[Any]]) -> None:
    (ticket_id,) = work_through(desk, 1)
    found = {one.name: one for one in spans()}
    assert set(found) == {"webhook", "queue", "classify", "single update", "filled"}
    root = found.pop("webhook")
    assert {one.context.trace_id for one in found.values()} == {root.context.trace_id}
    assert {one.parent.span_id for one in found.values()} == {root.context.span_id}
    assert {one.attributes["presort.ticket"] for one in (root, *found.values())} == {ticket_id}
    record = desk.parts.store.ticket(ticket_id, "category")
    assert record
    assert found["classify"].attributes["presort.decision"] == record.decision.id
    assert found["queue"].end_time == found["classify"].start_time
    assert all(one.start_time <= one.end_time for one in found.values())


def test_a_ticket_that_only_the_export_told_of_has_a_trace(
    desk: Desk, zendesk: Running, spans: Callable[[], list[Any]]
) -> None:
    desk.parts.clock = zendesk.clock
    ticket_id = desk.zendesk.create(*SURE[:2])
    zendesk.clock.advance(ACCOUNT.export_lag_s + 1)
    reconcile.reconcile(desk.parts)
    desk.classify(*queued(desk.parts.store))
    desk.parts.store.redis.delete(messages.TICKETS_QUEUE)
    desk.settle()
    assert begun(spans(), {ticket_id}) == {"export"}


def test_a_backfills_tickets_have_a_trace_each(desk: Desk, spans: Callable[[], list[Any]]) -> None:
    ids = [desk.zendesk.create(*SURE[:2]) for _ in range(2)]
    backfills.start(desk.parts.store.redis, "a test", ids, time.time())
    backfilling.go_on(desk.parts, time.time())
    desk.settle()
    assert begun(spans(), set(ids)) == {"backfill"}


def begun(found: Sequence[Any], tickets: set[int]) -> set[str]:
    """How these tickets' traces begin; each has one, which leads to what became of it."""
    roots = [one for one in found if one.parent is None]
    assert {one.attributes["presort.ticket"] for one in roots} == tickets
    assert len(roots) == len(tickets)
    for root in roots:
        own = {one.name for one in found if one.context.trace_id == root.context.trace_id}
        assert {"classify", "filled"} < own
    return {one.name for one in roots}


def test_tickets_of_one_batch_and_one_bulk_update_have_a_trace_each(desk: Desk, spans: Callable[[], list[Any]]) -> None:
    ids = work_through(desk, 3)
    found = spans()
    traces: dict[int, set[str]] = {}
    for one in found:
        traces.setdefault(one.context.trace_id, set()).add(one.name)
    assert list(traces.values()) == [{"webhook", "queue", "classify", "bulk update", "filled"}] * len(ids)


def test_spans_hold_no_ticket_text(desk: Desk, spans: Callable[[], list[Any]]) -> None:
    work_through(desk, 1)
    told = "".join(one.to_json() for one in spans())
    assert "presort.model" in told
    assert "refund for my last order" not in told


def test_without_a_trace_messages_carry_none(desk: Desk, store: Store) -> None:
    deliver(desk.parts, desk.zendesk.create(*SURE[:2]))
    assert [one.trace for one in queued(store)] == [None]


def test_traces_are_sent_over_otlp(desk: Desk, monkeypatch: pytest.MonkeyPatch, otlp: Sink) -> None:
    pytest.importorskip("opentelemetry.proto")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401 - whether it is there
    except ImportError:
        need("the extra otel is missing: pip install 'presort[otel]'")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.http_url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    traced = msgspec.structs.replace(desk.parts.config, traced=True)
    desk.parts.config = traced
    try:
        work_through(desk, 1)
    finally:
        tracing.close()
    sent = [ExportTraceServiceRequest.FromString(one.body) for one in otlp.asked if one.path == "/v1/traces"]
    resources = [one for request in sent for one in request.resource_spans]
    names = [span.name for one in resources for scope in one.scope_spans for span in scope.spans]
    assert {"webhook", "filled"} <= set(names)
    assert 'string_value: "presort-receiver"' in str(resources[0].resource)


@pytest.fixture
def otlp(sink: Sink) -> Sink:
    """A collector, as far as the exporter can tell; what it hears is no JSON."""
    sink.status = 300  # heard is for JSON; any answer will do
    return sink


def test_nothing_that_traces_is_imported_when_nobody_asks_for_it() -> None:
    """redis-py imports OpenTelemetry's metrics wherever they are installed; that is not ours to mend."""
    script = (
        "import sys, integration.receiver.app, worker.cli; from integration import tracing; "
        "tracing.note('filled', '00-1-2-01', 0, 1); "
        "assert not {'opentelemetry.sdk.trace', 'opentelemetry.exporter'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_without_the_extra_a_worker_works_on_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    tracing.configure("presort-worker")
    assert "pip install 'presort[otel]'" in caplog.text
    with tracing.root("webhook", ticket=1) as trace:
        assert trace is None
