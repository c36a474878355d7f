"""The answers in sentences, with their figures."""

from __future__ import annotations

from model_export.compare.answers import CLOSE, TUNED, Answers, Best, Crossing, Enough
from model_export.compare.scoring import Point
from model_export.evaluate import Interval
from model_export.report.page import with_range


def in_words(answers: Answers) -> list[tuple[str, str]]:
    """Questions and answers, in sentences."""
    return [
        ("Which strategy is best?", _say_best(answers.best) + _say_to_ship(answers)),
        ("From how many labels on does fine-tuning win?", _say_crossing(answers.crossing)),
        ("How many labels are enough?", _say_enough(answers.best.point, answers.enough)),
    ]


def _say_best(best: Best) -> str:
    name = best.point.strategy
    said = (
        f"{name}: macro-F1 {with_range(best.point.scores.macro_f1.interval())} after learning from {best.point.rows:,} "
        "tickets."
    )
    if best.runner_up is None or best.lead is None:
        return f"{said} Nothing else was compared with as many."
    lead = f"{said} It is {_points(best.lead)} ahead of {best.runner_up.strategy}"
    if best.lead.low > 0:
        return f"{lead}, which is more than chance."
    return f"{lead}, which can be chance: on these test tickets the two are not told apart."


def _say_to_ship(answers: Answers) -> str:
    best, ship = answers.best.point, answers.best_to_ship
    if best.strategy in TUNED:
        return ""
    said = f" A bundle, which is what a worker serves, is made of fine-tuned networks only, not of {best.strategy}"
    if ship is None:
        return f"{said}: compare finetune as well before you train it."
    behind = best.scores.macro_f1.minus(ship.scores.macro_f1)
    return f"{said}; the best of those is {ship.strategy}, {_points(behind)} behind."


def _say_crossing(crossing: Crossing | None) -> str:
    if crossing is None:
        return "Not compared: this needs a fine-tuned strategy and another one, on the same number of tickets."
    tuned, rest = crossing.tuned, crossing.rest
    pair = f"with {tuned.rows:,} tickets {tuned.strategy} is"
    if crossing.ahead is None:
        return f"Not on these tickets: {pair} {_points(_negated(crossing.lead))} behind {rest.strategy}."
    said = f"From {crossing.ahead:,} tickets on it is ahead of everything else that was compared; {pair} "
    said += f"{_points(crossing.lead)} ahead of {rest.strategy}."
    if crossing.surely is None:
        return f"{said} That can be chance."
    if crossing.surely == crossing.ahead:
        return f"{said} At each of these sizes that is more than chance."
    return f"{said} From {crossing.surely:,} tickets on that is more than chance."


def _say_enough(point: Point, enough: Enough | None) -> str:
    if enough is None:
        return "Not measured: this needs two sizes at least."
    gap = _points(enough.short)
    if enough.rows == enough.largest:
        said = f"More than {enough.largest:,}: the step there from {enough.before:,} brought {point.strategy} {gap}."
    else:
        said = (
            f"{enough.rows:,}: learning from {enough.largest:,} instead brings {point.strategy} {gap} of macro-F1, "
            f"at most {CLOSE * 100:g} point or within chance."
        )
    if enough.doubling is None:
        return said
    return (
        f"{said} Twice as many, {2 * enough.largest:,}, would bring about {enough.doubling * 100:.1f} points more if "
        "the error goes on falling by the power law of the largest sizes."
    )


def _negated(gap: Interval) -> Interval:
    return Interval(-gap.value, -gap.high, -gap.low)


def _points(gap: Interval) -> str:
    value, low, high = (round(figure * 100, 1) + 0.0 for figure in gap)  # no -0.0
    return f"{value:.1f} points (95 % range {low:.1f} to {high:.1f})"
