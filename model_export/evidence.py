"""Whether a model may replace another: their figures on the same test rows, as a whole and class by class."""

from __future__ import annotations

import math

import msgspec

METRICS = "report/metrics.json"
"""Where a bundle keeps its ``Evidence``. A bundle without one can only be promoted by force."""

MACRO_TOLERANCE = 0.005
"""How much macro-F1 may fall: half a point, as much as the int8 graph may lose against fp32."""


class ClassScore(msgspec.Struct, frozen=True):
    """One class on the test rows: its F1 and how many of the rows are of it."""

    f1: float
    support: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle scored; the contents of ``report/metrics.json``, which may hold more.

    Attributes:
        test_fingerprint: of the rows it was scored on; figures compare only where it is the same.
        per_class: by label value.
    """

    test_fingerprint: str
    macro_f1: float
    per_class: dict[str, ClassScore]


def decode(raw: bytes) -> Evidence:
    """Read ``report/metrics.json``.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is something else.
    """
    return msgspec.json.decode(raw, type=Evidence)


def objections(staged: Evidence, active: Evidence) -> list[str]:
    """Why ``staged`` should not replace ``active``, a sentence each; empty when nothing speaks against it.

    Macro-F1 may fall by ``MACRO_TOLERANCE``, a class's F1 by ``noise``, and no class may be missing.
    """
    if staged.test_fingerprint != active.test_fingerprint:
        rows = f"{staged.test_fingerprint[:12]} and {active.test_fingerprint[:12]}"
        return [f"they were scored on different test rows ({rows}), so their figures do not compare"]
    found = []
    if staged.macro_f1 < active.macro_f1 - MACRO_TOLERANCE:
        found.append(f"macro-F1 is {staged.macro_f1:.3f} where it was {active.macro_f1:.3f}")
    for label, before in active.per_class.items():
        after = staged.per_class.get(label)
        if after is None:
            found.append(f"{label} is not among its classes")
        elif after.f1 < before.f1 - noise(before):
            found.append(f"{label} has F1 {after.f1:.3f} where it had {before.f1:.3f} (support {before.support})")
    return found


def noise(score: ClassScore) -> float:
    """How far F1 falls by chance when a model is trained again: one standard error at this support.

    F1 is taken for a share of ``support`` rows, p' = (f1 n + 2) / (n + 4), the standard error sqrt(p' (1 - p') /
    (n + 4)): Agresti and Coull, "Approximate is better than exact for interval estimation of binomial proportions",
    The American Statistician 52 (1998). So a class of 10 rows may lose one of them, a class of 1,000 about a point.
    """
    n = score.support + 4
    p = (score.f1 * score.support + 2) / n
    return math.sqrt(p * (1 - p) / n)
