"""One tiny model, trained once: what the tests of training and export look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model_export.commands import Trained, run, write_tickets

ROWS = 900


@pytest.fixture(scope="session")
def tiny_tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 900 tickets with three labels."""
    from tests.model_export import tiny  # torch, which not every environment has

    rows = tiny.single(ROWS)
    path = tmp_path_factory.mktemp("data") / "tickets.csv"
    return write_tickets(path, rows.texts, [tiny.LABELS[target] for target in rows.targets])


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT."""
    from tests.model_export import tiny  # see above

    folder = tmp_path_factory.mktemp("base")
    tiny.save_bert(folder)
    return folder


@pytest.fixture(scope="session")
def trained(tiny_tickets: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The tiny tickets' bundle with all graphs, and the network it was made of."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "names.toml").write_text('delivery = "Orders::Delivery"')
    options = ["--base", tiny_base, "--max-length", 64, "--epochs", 8, "--target", 0.8]
    more = ["--names", folder / "names.toml", "--fp16", "--keep-network", folder / "network"]
    printed = run("train", tiny_tickets, *options, *more, "--out", folder / "bundle")
    return Trained(folder / "bundle", folder / "network", printed)
