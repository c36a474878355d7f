"""The simulator as it is run: ``python -m integration.simulator`` under gunicorn."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from click.testing import CliRunner

from integration.simulator.cli import simulate
from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Receiver, eventually


def test_one_process_keeps_the_account_for_many_connections(tmp_path: Path, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = tmp_path / "account.json"
    path.write_text(json.dumps({"webhook_url": receiver.url}))
    command = [sys.executable, "-m", "integration.simulator", "--port", str(port), "--config", str(path)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:

            def create(number: int) -> int:
                body = {"description": f"ticket {number}"}
                return int(requests.post(f"{url}/simulator/tickets", json=body, timeout=10).json()["id"])

            eventually(lambda: _answers(url), within_s=20)
            with ThreadPoolExecutor(16) as threads:
                assert sorted(threads.map(create, range(64))) == list(range(1, 65))
            eventually(lambda: len(receiver.received) == 64)
        finally:
            process.terminate()
        output = process.communicate(timeout=10)[0]
    assert url in output
    assert process.returncode == 0


def test_a_misspelt_setting_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_text('{"webhok_url": "http://127.0.0.1/"}')
    result = CliRunner().invoke(simulate, ["--config", str(path)])
    assert (result.exit_code, "webhok_url" in result.output) == (1, True)


def test_the_seeded_ids_do_not_change_between_starts() -> None:
    """Demo scripts write them into ``presort.toml`` before the simulator runs."""
    config = SimulatorConfig()
    assert (config.category_field_id, config.model_field_id) == (360000000101, 360000000104)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/simulator/summary", timeout=1).ok
    except requests.ConnectionError:
        return False
