"""The properties, for input that hypothesis makes up: noise, and real input with noise in it."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.properties import TARGETS

EVENT = b'{"type": "zen:event-type:ticket.created", "id": "1", "detail": {"id": 1, "created_at": "%s"}}'

FOUND = {
    "backtest": [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x05\xc1", b"created_at,label\n0001-01-01,a\n"],
    "channels": [b"[" * 100_000, b'{"active": "../../m"}'],
    "dataset": [b'{"label\x97": 1}\n', b'{"a": ' + b"[" * 100_000 + b"\n", b"PAR1" + b"\0" * 40 + b"PAR1"],
    "manifest": [
        b'{"protocol": 1, "data": ' + b"[" * 100_000,
        b'{"protocol": 1, "files": {"a\\u0000b": {"sha256": "", "size": 0}}}',
        b'{"files": {"' + b"x" * 5000 + b'": {"sha256": "", "size": 0}}}',
        b'{"files": {"../../../outside": {"sha256": "", "size": 0}}}',
        b'{"files": {"m": {"sha256": "", "size": ' + b"9" * 400 + b"}}}",
    ],
    "replay": [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x05\xc1", b"time,title,body\n9999-12-31,a,b\n"],
    "settings": [
        b"a = " + b"[" * 5000,
        b'[zendesk]\nsubdomain = "a\\n"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n',
        b'[zendesk]\nsubdomain = "a"\nclient_id = "b"\ntimeout_s = inf\n[[classifier]]\nfield_id = 1\nbundle = "m"\n',
    ],
    "signature": [b"\n0001-01-01T00:00:00+23:59\n", b"\n9999-12-31T23:59:59-23:59\n"],
    "text": ["\ufdfa".encode() * 5000, b"\xff\xfe\0<p" * 3000],
    "token": [b"Bearer ..", b"Bearer \xff.\xff.\xff"],
    "webhook": [
        EVENT % b"9999-12-31T00:00:00Z",
        EVENT % b"0001-01-01T00:00:00",
        b"[" * 100_000,
        b'{"type": "zen:event-type:ticket.created", "id": "\\ud800", "detail": {"id": 1}}',
    ],
}
"""What was found once, and what comes close; written by hand."""


@pytest.mark.parametrize(("name", "data"), [(name, one) for name, rows in FOUND.items() for one in rows])
def test_what_was_found_once(name: str, data: bytes) -> None:
    TARGETS[name].holds(data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_hold(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].holds(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_a_result_or_a_named_error(name: str, caplog: pytest.LogCaptureFixture) -> None:
    target = TARGETS[name]
    seed = st.sampled_from(target.seeds)
    place = st.floats(0, 1)
    noise = st.one_of(
        st.binary(max_size=12), st.sampled_from([b"nan", b"inf", b"-1", b"../", b"\\ud800", b"\0", b"[{"])
    )

    def spliced(seed: bytes, start: float, length: float, noise: bytes) -> bytes:
        at = int(start * len(seed))
        return seed[:at] + noise + seed[at + int(length * 20) :]

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(st.binary(max_size=2000), st.builds(spliced, seed, place, place, noise)))
    def holds(data: bytes) -> None:
        target.holds(data)

    with caplog.at_level(logging.INFO):
        holds()
    assert "My lamp" not in caplog.text  # the seeds' ticket
