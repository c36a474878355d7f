"""The whole way beside its limit and its rivals: ``python -m benchmarks.pipeline --json``.

Signed webhook to written field with all of the product's processes, on two sizes of DistilBERT and two lengths of real
texts. What is lost, written twice, and when a field was written, the local Zendesk's own records say.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.pipeline import bare, bundles, ours, report, rivals, texts
from model_export.bundle.predictor import INT8

CASES = tuple(f"{size}/{tokens}" for size in ("base", "384") for tokens in (32, 128))
PLAIN_SHARE = 0.1
"""Of our tickets, for the plain script: it takes longer."""


@click.command()
@click.option("--data", default="var/data", show_default=True, type=click.Path(path_type=Path), help="The questions.")
@click.option("--only", multiple=True, help="SIZE/TOKENS, such as base/128; may be repeated; all four unless told.")
@click.option("--tickets", type=click.IntRange(1), help="How many at full speed; 40 s' worth unless told.")
@click.option("--seconds", default=40.0, show_default=True, help="At 80 % of the load, and at full speed.")
@click.option("--skip", multiple=True, type=click.Choice(["plain", "peer"]), help="May be repeated.")
@click.option(
    "--peer-python",
    type=click.Path(path_type=Path),
    help="Of an environment with litserve, onnxruntime and tokenizers; without it no peer is asked.",
)
@click.option("--machine-price", default=0.09, show_default=True, help="Dollars an hour of two such cores.")
@click.option(
    "--llm-in", default=0.20, show_default=True, help="Dollars a million tokens that it reads (GPT-5.4 nano, 2026-06)."
)
@click.option("--llm-out", default=1.25, show_default=True, help="Dollars a million tokens that it writes.")
@click.option("--llm-prompt", default=300, show_default=True, help="Tokens of its instruction.")
@click.option("--llm-answer", default=10, show_default=True, help="Tokens of its answer.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Keep bundles and logs in this folder, and use them again."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a model and length instead of words.")
def main(
    *,
    data: Path,
    only: tuple[str, ...],
    tickets: int | None,
    seconds: float,
    skip: tuple[str, ...],
    peer_python: Path | None,
    machine_price: float,
    llm_in: float,
    llm_out: float,
    llm_prompt: int,
    llm_answer: int,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Measure the whole way, signed webhook to written field.

    Example: python -m benchmarks.pipeline --only base/128 --skip peer
    """
    prices = report.Prices(machine_price, llm_in, llm_out, llm_prompt, llm_answer)
    effort = Effort(tickets, seconds, frozenset(skip), peer_python)
    folder = keep or Path(tempfile.mkdtemp(prefix="presort-pipeline-"))
    try:
        for case in only or CASES:
            size, _, tokens = case.partition("/")
            if size not in bundles.SIZES or not tokens.isdigit():
                raise click.BadParameter(f"{case} is not SIZE/TOKENS with a size of {', '.join(bundles.SIZES)}")
            found = measure(folder, size, int(tokens), data, effort)
            found |= report.costs(found["end_to_end_per_s"], int(tokens), prices)
            print(json.dumps(found) if as_json else report.table(found), flush=True)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


class Effort(NamedTuple):
    """How long, and what: tickets at full speed (None for ``seconds`` of them), what is left out, the peer's Python."""

    tickets: int | None
    seconds: float
    skipped: frozenset[str]
    peer_python: Path | None


def measure(folder: Path, size: str, tokens: int, data: Path, effort: Effort) -> dict[str, Any]:
    """One model and length, all of it in one go."""
    logs, case, began = folder / f"{size}-{tokens}", f"{size}/{tokens}", time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - began:6.0f} s  {case}  {text}", err=True)

    read = texts.questions(data)
    tokenizer = bundles.tokenizer_for(read)
    cut = texts.cut(tokenizer, read, tokens)
    made = bundles.Made(folder / size / "bundle", folder / size / "network")
    if not made.bundle.exists():
        say("makes the bundle")
        made = bundles.make(folder / size, bundles.SIZES[size], tokenizer, cut)
    say("bare onnxruntime")
    sequences = [one.ids for one in tokenizer.encode_batch(cut[:128])]
    seconds = min(4.0, effort.seconds / 10)
    limit = bare.measure(made.bundle / INT8, sequences, seconds=seconds, cores=len(os.sched_getaffinity(0)))
    say(f"{limit.per_s:.1f} a second with {limit.setting}; the whole way")
    tickets = effort.tickets or max(1, int(effort.seconds * limit.per_s))
    fast, calm = ours.measure(logs / "ours", made.bundle, cut, tickets=tickets, calm_s=effort.seconds, say=say)
    plain = peer = None
    if "plain" not in effort.skipped:
        say("plain script")
        few = max(1, int(tickets * PLAIN_SHARE))
        plain = rivals.plain(logs / "plain", made, cut, tickets=few, say=say)
    if "peer" not in effort.skipped and effort.peer_python is None:
        say("without a serving library: --peer-python names an environment that has one")
    elif "peer" not in effort.skipped and effort.peer_python is not None:
        say("serving library")
        peer = rivals.peer(logs / "peer", effort.peer_python, made, cut, requests=tickets)
    return {"case": case} | report.figures(limit, fast, calm, plain, peer)


if __name__ == "__main__":
    main()
