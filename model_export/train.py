"""The training loop: AdamW, warm-up and linear decay, checkpoints that resume where they stopped.

A run that was killed and resumed gives the weights of one that was not, bit by bit on a CPU with the same number of
threads (CUDA adds in no fixed order). Everything random comes from torch's generators, whose state is in the
checkpoint; the learning rate, the order of the data and which layers are frozen follow from the step alone.
"""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import torch
from tqdm import tqdm

from model_export.batches import shuffled

Device = Literal["auto", "cpu", "cuda"]
LossOf = Callable[[list[int]], torch.Tensor]

CLIP = 1.0
"""Largest gradient norm; Devlin et al. (2019) train BERT with the same."""


class TrainingError(Exception):
    """A training that cannot start or go on; the message names the cause and the cure."""


class Group(NamedTuple):
    """Parameters that learn alike.

    Attributes:
        rate: their highest learning rate.
        from_epoch: they are frozen before it.
    """

    parameters: list[torch.nn.Parameter]
    rate: float
    from_epoch: int = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How to train.

    Attributes:
        name: what the progress bar calls it.
        epochs: passes over the rows.
        batch_size: rows a step.
        warmup: share of the steps in which the rate rises from 0; then it falls to 0, both linearly.
        weight_decay: AdamW's, on matrices only.
        seed: of the order of the rows; dropout draws from torch's global generator, which the caller seeds.
        checkpoint: file to keep the state in, replaced as training goes on; None keeps none.
        checkpoint_every: steps between two checkpoints; the end of an epoch is one as well.
        resume: go on from ``checkpoint`` if it is there.
    """

    name: str = "training"
    epochs: int
    batch_size: int = 32
    warmup: float = 0.1
    weight_decay: float = 0.01
    seed: int = 0
    checkpoint: Path | None = None
    checkpoint_every: int = 500
    resume: bool = False


class Curves(msgspec.Struct):
    """What the report draws.

    Attributes:
        loss: of each step.
        rate: the first group's learning rate at each step.
        epochs: what ``evaluate`` measured after each epoch, by name.
    """

    loss: list[float] = []
    rate: list[float] = []
    epochs: list[dict[str, float]] = []


def choose_device(wanted: Device = "auto") -> torch.device:
    """CUDA when there is one, the CPU otherwise.

    Raises:
        TrainingError: CUDA was asked for and there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        cause = "its driver shows none" if torch.version.cuda else f"torch {torch.__version__} is built without CUDA"
        raise TrainingError(
            f"no GPU can be used: {cause}. See `nvidia-smi`, install torch's CUDA build, or train with --device cpu"
        )
    return torch.device("cpu" if wanted == "cpu" or not torch.cuda.is_available() else "cuda")


def train(
    model: torch.nn.Module,
    groups: Sequence[Group],
    loss_of: LossOf,
    lengths: Sequence[int],
    plan: Plan,
    *,
    evaluate: Callable[[], dict[str, float]] | None = None,
    data: str = "",
    progress: bool = True,
) -> Curves:
    """Train a model in place; it is in ``eval`` mode afterwards.

    The last weights are the result: with a rate that falls to zero they are about the best, and choosing an epoch by
    its score would use up the rows that the calibration needs.

    Args:
        model: on its device already; it computes in bfloat16 where ``mixed_precision`` finds that worth while, and
            keeps float32 weights.
        groups: what learns, and how fast.
        loss_of: the mean loss of a batch of row numbers, a scalar with a gradient.
        lengths: tokens of each row; rows of like length share a batch.
        plan: see there.
        evaluate: called after each epoch with the model in ``eval`` mode.
        data: identifies the rows; a checkpoint made from others is refused.
        progress: say how long it may take and show a bar, both on standard error.

    Raises:
        TrainingError: out of memory, a loss that is no number, or a checkpoint of another run.
    """
    run = _Run(model, groups, plan, _fingerprint(model, groups, plan, lengths=lengths, data=data))
    per_epoch = math.ceil(len(lengths) / plan.batch_size)
    total = plan.epochs * per_epoch
    done = run.resume() if plan.resume else 0
    bar = tqdm(desc=plan.name, total=total, initial=done, unit="batch", file=sys.stderr, disable=not progress)
    device = next(model.parameters()).device
    try:
        if progress and done < total:
            _announce(model, loss_of, lengths, plan, total - done)
        for epoch in range(done // per_epoch, plan.epochs):
            model.train()
            _freeze(groups, epoch)
            for rows in shuffled(lengths, plan.batch_size, (plan.seed, epoch))[done % per_epoch :]:
                with mixed_precision(device):
                    loss = loss_of(rows)
                value = run.step(loss, done, total)
                done += 1
                bar.update()
                bar.set_postfix(loss=f"{value:.3f}", rate=f"{run.curves.rate[-1]:.1e}", refresh=False)
                if done % plan.checkpoint_every == 0 and done % per_epoch:
                    run.save(done)
            if evaluate:
                model.eval()
                run.curves.epochs.append(evaluate())
            run.save(done)
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise TrainingError(_out_of_memory(plan, lengths, device)) from error
        raise
    finally:
        bar.close()
        _freeze(groups, plan.epochs)
    model.eval()
    return run.curves


def mixed_precision(device: torch.device) -> torch.autocast:
    """A context in which matrices are multiplied in bfloat16 where the hardware does: a GPU, or a CPU that can."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or _cpu_has_bfloat16())


def _cpu_has_bfloat16() -> bool:
    """Whether it has instructions for it; without, torch emulates them, slowly."""
    known: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # from torch 2.11
    told = known()
    return bool(told.get("avx512_bf16") or told.get("amx_bf16"))


def schedule(step: int, total: int, warmup: float) -> float:
    """Share of the highest learning rate at a step, in (0, 1]: the slanted triangle of Howard and Ruder (2018)."""
    rising = max(1, round(total * warmup))
    return min((step + 1) / rising, (total - step) / max(1, total - rising))


class _Run:
    """Model, optimiser and curves of one training: what a step changes and a checkpoint holds."""

    def __init__(self, model: torch.nn.Module, groups: Sequence[Group], plan: Plan, fingerprint: str) -> None:
        self.model, self.plan, self.fingerprint = model, plan, fingerprint
        self.curves = Curves()
        self.optimizer = torch.optim.AdamW(
            [
                {"params": parameters, "peak": group.rate, "weight_decay": decay}
                for group in groups
                for parameters, decay in (
                    ([p for p in group.parameters if p.ndim > 1], plan.weight_decay),
                    ([p for p in group.parameters if p.ndim <= 1], 0.0),
                )
            ],
            lr=0.0,
            fused=True,
        )

    def step(self, loss: torch.Tensor, done: int, total: int) -> float:
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"the loss is {value} at step {done + 1}: train with a lower learning rate")
        share = schedule(done, total, self.plan.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.curves.loss.append(value)
        self.curves.rate.append(self.optimizer.param_groups[0]["lr"])
        return value

    def save(self, done: int) -> None:
        path = self.plan.checkpoint
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".partial")
        torch.save(
            {
                "fingerprint": self.fingerprint,
                "done": done,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "rng": torch.get_rng_state(),
                "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
                "curves": msgspec.to_builtins(self.curves),
            },
            aside,
        )
        aside.replace(path)  # a kill while writing leaves the previous checkpoint

    def resume(self) -> int:
        """Take up the checkpoint's state; the number of steps that are done."""
        path = self.plan.checkpoint
        if path is None or not path.exists():
            return 0
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises half a dozen unrelated types for a bad file
            raise TrainingError(f"{path} cannot be read ({error}): train without --resume") from error
        if state["fingerprint"] != self.fingerprint:
            raise TrainingError(
                f"{path} belongs to a training with other rows or settings: repeat its settings, or train without "
                "--resume"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        self.curves = msgspec.convert(state["curves"], Curves)
        return int(state["done"])


def _freeze(groups: Sequence[Group], epoch: int) -> None:
    for group in groups:
        for parameter in group.parameters:
            parameter.requires_grad_(epoch >= group.from_epoch)


def _announce(model: torch.nn.Module, loss_of: LossOf, lengths: Sequence[int], plan: Plan, steps: int) -> None:
    """Say how long it may take, from one batch of the longest rows: if that does not fit, it fails here."""
    device = next(model.parameters()).device
    longest = sorted(range(len(lengths)), key=lengths.__getitem__)[-plan.batch_size :]
    cuda = [device] if device.type == "cuda" else []
    model.train()
    with torch.random.fork_rng(devices=cuda):
        for _ in range(2):  # the first one also loads kernels
            start = time.perf_counter()
            with mixed_precision(device):
                loss = loss_of(longest)
            loss.backward()
            if cuda:
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - start
    model.zero_grad()
    per_token = seconds / (len(longest) * max(lengths[row] for row in longest))
    minutes = per_token * steps * plan.batch_size * (sum(lengths) / len(lengths)) / 60
    where = device.type if cuda else f"{device.type} with {torch.get_num_threads()} threads"
    tqdm.write(f"{plan.name}: {steps} batches of {plan.batch_size} on {where}, about {minutes:.1f} min", sys.stderr)


def _out_of_memory(plan: Plan, lengths: Sequence[int], device: torch.device) -> str:
    resume = ", then --resume" if plan.checkpoint and plan.checkpoint.exists() else ""
    return (
        f"out of memory on {device.type} with {plan.batch_size} rows of up to {max(lengths)} tokens a batch: halve "
        f"--batch-size or --max-length, or take a smaller --base{resume}"
    )


def _fingerprint(
    model: torch.nn.Module, groups: Sequence[Group], plan: Plan, *, lengths: Sequence[int], data: str
) -> str:
    told = msgspec.structs.replace(plan, checkpoint=None, checkpoint_every=1, resume=False)  # these change no result
    shapes = [(name, list(parameter.shape)) for name, parameter in model.named_parameters()]
    schedule_of = [(group.rate, group.from_epoch) for group in groups]
    return hashlib.sha256(msgspec.json.encode((told, shapes, schedule_of, list(lengths), data))).hexdigest()
