"""One simulator for each test file, emptied before each test; a file's ``CONFIG`` replaces the default account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from zenpy import Zenpy

from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Receiver, Running, serving, zenpy_for

CONFIG = SimulatorConfig(
    requests_per_minute=100_000, updates_per_minute=100_000, exports_per_minute=1_000, job_time_s=0.05
)


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest) -> Iterator[Running]:
    with serving(getattr(request.module, "CONFIG", CONFIG)) as running:
        yield running


@pytest.fixture
def simulator(served: Running) -> Running:
    """An empty account with the present time."""
    served.clock.offset_s = 0.0
    served.simulation.reset()
    return served


@pytest.fixture
def zenpy(simulator: Running) -> Zenpy:
    return zenpy_for(simulator)


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def receiver(listening: Receiver) -> Receiver:
    """A receiver that has got nothing yet and answers 200."""
    listening.clear()
    return listening
