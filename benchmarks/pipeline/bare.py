"""The limit: nothing but onnxruntime in a loop, texts already tokens, at the best of several settings."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

BATCHES = (1, 4, 8, 16, 32)


class Bare(NamedTuple):
    """What the loop reached.

    Attributes:
        per_s: texts a second, all processes together.
        cpu_ms: CPU milliseconds a text.
        setting: which one won.
    """

    per_s: float
    cpu_ms: float
    setting: str


def measure(graph: Path, sequences: Sequence[Sequence[int]], *, seconds: float, cores: int) -> Bare:
    """The fastest of one process with all cores, and a process a core, each with several batch sizes.

    Args:
        graph: the int8 one.
        sequences: of one length, special tokens included.
        seconds: for each setting.
        cores: of this machine.
    """
    ids = np.array(sequences, dtype=np.int64)
    found = [
        _run(graph, ids, _Setting(processes, cores // processes, batch), seconds)
        for batch in BATCHES
        for processes in sorted({1, cores})
    ]
    return max(found, key=lambda one: one.per_s)


class _Setting(NamedTuple):
    processes: int
    threads: int
    batch: int

    def __str__(self) -> str:
        return f"{self.processes} x {self.threads} thread{'s' * (self.threads > 1)}, batch {self.batch}"


Row = tuple[int, float, float]
"""Texts, seconds, CPU seconds of one process."""


def _run(graph: Path, ids: NDArray[np.int64], setting: _Setting, seconds: float) -> Bare:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(setting.processes)
    with context.Manager() as manager:
        done = manager.list()
        children = [
            context.Process(target=_loop, args=(graph, ids, setting, seconds), kwargs={"start": start, "done": done})
            for _ in range(setting.processes)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
        rows = list(done)
    if len(rows) < setting.processes:
        raise RuntimeError("a process of the bare loop ended early")
    texts = sum(count for count, _, _ in rows)
    return Bare(
        sum(count / took for count, took, _ in rows), 1000 * sum(cpu for _, _, cpu in rows) / texts, str(setting)
    )


def _loop(
    graph: Path, ids: NDArray[np.int64], setting: _Setting, seconds: float, *, start: Barrier, done: list[Row]
) -> None:
    batch = setting.batch
    options = ort.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    feeds = [
        {"input_ids": ids[at : at + batch], "attention_mask": np.ones_like(ids[at : at + batch])}
        for at in range(0, len(ids) - batch + 1, batch)
    ]
    session.run(["logits"], feeds[0])
    start.wait()
    count, began, cpu = 0, time.perf_counter(), time.process_time()
    while (took := time.perf_counter() - began) < seconds:
        session.run(["logits"], feeds[count // batch % len(feeds)])
        count += batch
    done.append((count, took, time.process_time() - cpu))
