"""The training loop: what it promises about rates, freezing, memory, and above all about resuming."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if not TYPE_CHECKING:
    pytest.importorskip("torch", reason="training needs the train extra")

import torch

from model_export.batches import POOL, by_length, pad, shuffled
from model_export.strategies import Settings, finetune
from model_export.train import Group, Plan, TrainingError, choose_device, schedule, train
from tests.model_export import tiny

ROWS = 300


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums in one order, so that equal means equal."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Toy:
    """Points in the plane, labelled by the sign of x, and a small network with dropout."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.points = torch.randn(40, 2)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 2)
        )
        self.lengths = [1] * len(self.points)

    def loss_of(self, rows: list[int]) -> torch.Tensor:
        """Of a batch."""
        return torch.nn.functional.cross_entropy(self.model(self.points[rows]), (self.points[rows, 0] > 0).long())

    def groups(self, rate: float = 0.05) -> list[Group]:
        """All of it, at one rate."""
        return [Group(list(self.model.parameters()), rate)]


def settings(folder: Path, *, resume: bool = False) -> Settings:
    return Settings(
        task="single",
        labels=len(tiny.LABELS),
        base=str(folder / "base"),
        epochs=2,
        batch_size=2,
        learning_rate=1e-3,
        max_length=64,
        device="cpu",
        checkpoints=folder / "checkpoints",
        checkpoint_every=7,
        resume=resume,
    )


def fit(folder: Path, *, resume: bool = False) -> finetune.FineTuned:
    torch.set_num_threads(1)
    rows, dev = tiny.single(ROWS), tiny.single(20, seed=1)
    return finetune.fit(rows, dev, settings=settings(folder, resume=resume), progress=False)


def test_a_run_killed_in_mid_epoch_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """SIGKILL a training in a process of its own, resume it here, compare with one that nobody disturbed."""
    tiny.save_bert(tmp_path / "base")
    checkpoint = tmp_path / "checkpoints" / "finetune.pt"
    process = multiprocessing.get_context("spawn").Process(target=fit, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    done = torch.load(checkpoint, weights_only=True)["done"]
    assert 0 < done < ROWS / 2, "killed within the first epoch"

    resumed = fit(tmp_path, resume=True)
    undisturbed = fit(tmp_path)

    expected = undisturbed.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.model.state_dict().items())
    assert resumed.curves == undisturbed.curves
    assert len(resumed.curves["finetune"].loss) == ROWS


def test_a_finished_run_resumes_to_its_result(tmp_path: Path) -> None:
    first, second = Toy(), Toy()
    plan = Plan(epochs=2, batch_size=8, checkpoint=tmp_path / "toy.pt", resume=True)
    curves = train(first.model, first.groups(), first.loss_of, first.lengths, plan, progress=False)
    again = train(second.model, second.groups(), second.loss_of, second.lengths, plan, progress=False)
    assert again == curves
    assert torch.equal(first.model[0].weight, second.model[0].weight)


def test_a_checkpoint_of_other_rows_or_settings_is_refused(tmp_path: Path) -> None:
    toy = Toy()
    plan = Plan(epochs=1, checkpoint=tmp_path / "toy.pt", resume=True)
    train(toy.model, toy.groups(), toy.loss_of, toy.lengths, plan, data="Monday's", progress=False)
    with pytest.raises(TrainingError, match="other rows or settings"):
        train(toy.model, toy.groups(), toy.loss_of, toy.lengths, plan, data="Tuesday's", progress=False)
    with pytest.raises(TrainingError, match="other rows or settings"):
        train(toy.model, toy.groups(0.1), toy.loss_of, toy.lengths, plan, data="Monday's", progress=False)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    toy = Toy()
    plan = Plan(epochs=1, checkpoint=tmp_path / "toy.pt", resume=True)
    train(toy.model, toy.groups(), toy.loss_of, toy.lengths, plan, progress=False)
    content = (tmp_path / "toy.pt").read_bytes()
    (tmp_path / "toy.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match=r"toy\.pt cannot be read .*train without --resume"):
        train(toy.model, toy.groups(), toy.loss_of, toy.lengths, plan, progress=False)


def test_it_learns_and_keeps_the_curves() -> None:
    toy = Toy()
    curves = train(
        toy.model,
        toy.groups(),
        toy.loss_of,
        toy.lengths,
        Plan(epochs=10, batch_size=8),
        evaluate=lambda: {"training": float(toy.model.training)},
        progress=False,
    )
    assert np.mean(curves.loss[-5:]) < 0.2 < np.mean(curves.loss[:5])
    assert len(curves.loss) == len(curves.rate) == 50
    assert curves.epochs == [{"training": 0.0}] * 10
    assert not toy.model.training


def test_the_rate_rises_to_its_peak_and_falls_to_nearly_nothing() -> None:
    shares = [schedule(step, 100, 0.1) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[9] == 1
    assert shares[55] == pytest.approx(0.5)
    assert shares[99] == pytest.approx(1 / 90)
    assert schedule(0, 1, 0.1) == 1


def test_a_group_stands_still_until_its_epoch() -> None:
    toy = Toy()
    first, last = list(toy.model[0].parameters()), list(toy.model[3].parameters())
    before, moved = first[0].clone(), []

    def watch() -> dict[str, float]:
        moved.append(not torch.equal(first[0], before))
        return {}

    train(
        toy.model,
        [Group(last, 0.05), Group(first, 0.05, from_epoch=2)],
        toy.loss_of,
        toy.lengths,
        Plan(epochs=3, batch_size=8),
        evaluate=watch,
        progress=False,
    )
    assert moved == [False, False, True]
    assert all(parameter.requires_grad for parameter in toy.model.parameters())


def test_the_estimate_comes_first_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    loud, quiet = Toy(), Toy()
    plan = Plan(name="practice", epochs=2, batch_size=8)
    torch.manual_seed(1)
    train(loud.model, loud.groups(), loud.loss_of, loud.lengths, plan)
    said = capsys.readouterr().err
    assert "practice: 10 batches of 8 on cpu with 1 threads, about 0.0 min" in said
    torch.manual_seed(1)
    train(quiet.model, quiet.groups(), quiet.loss_of, quiet.lengths, plan, progress=False)
    assert capsys.readouterr().err == ""
    assert torch.equal(loud.model[0].weight, quiet.model[0].weight)


def test_running_out_of_memory_names_the_cures() -> None:
    toy = Toy()

    def greedy(rows: list[int]) -> torch.Tensor:
        return torch.empty(1 << 50).sum() + toy.loss_of(rows)  # four petabytes

    with pytest.raises(TrainingError, match=r"out of memory on cpu with 32 rows of up to 1 tokens.*halve --batch-size"):
        train(toy.model, toy.groups(), greedy, toy.lengths, Plan(epochs=1), progress=False)


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    toy = Toy()
    with pytest.raises(TrainingError, match="the loss is nan at step 1: train with a lower learning rate"):
        train(
            toy.model,
            toy.groups(),
            lambda rows: toy.loss_of(rows) * float("nan"),
            toy.lengths,
            Plan(epochs=1),
            progress=False,
        )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_names_cause_and_cure() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(TrainingError, match=r"no GPU can be used: .*--device cpu"):
        choose_device("cuda")


def test_batches_hold_every_row_once_and_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(2, 100, size=1001).tolist()
    batches = shuffled(lengths, 8, (0, 0))
    assert sorted(row for rows in batches for row in rows) == list(range(1001))
    assert batches == shuffled(lengths, 8, (0, 0)) != shuffled(lengths, 8, (0, 1))
    padded = sum(len(rows) * max(lengths[row] for row in rows) for rows in batches)
    assert padded < 1.1 * sum(lengths)
    longest = [max(lengths[row] for row in rows) for rows in batches[:POOL]]
    assert longest != sorted(longest), "short and long batches in turn"
    assert lengths[by_length(lengths, 8)[0][0]] == max(lengths)


def test_padding_is_masked() -> None:
    ids, mask = pad([torch.tensor([2, 0, 3]), torch.tensor([2, 3])], torch.device("cpu"))
    assert ids.tolist() == [[2, 0, 3], [2, 3, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
