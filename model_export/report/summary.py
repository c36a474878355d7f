"""Findings as text for a terminal: the headline, then a line a category."""

from __future__ import annotations

from model_export.report.findings import Findings
from model_export.report.page import categories, number, part, percentage, with_range
from model_export.tables import aligned


def summarise(findings: Findings) -> str:
    """Macro-F1 first, and the majority's beside it; counts beside shares."""
    delivery, baseline = findings.chosen.delivery, findings.baseline
    majority = f'  always "{findings.names[baseline.label]}"'
    rows = [
        ("tickets", number(findings.rows) + (" it had never seen" if findings.unseen else "")),
        ("macro-F1", with_range(findings.macro_f1)),
        (majority, percentage(baseline.macro_f1)),
    ]
    if findings.top3 is None:
        rows += [("micro-F1", percentage(findings.accuracy.value)), (majority, percentage(baseline.micro_f1))]
    else:
        rows += [
            ("right first time", part(int(findings.scores.hits.sum()), findings.rows)),
            (majority, percentage(baseline.micro_f1)),
            ("right among the first 3", percentage(findings.top3)),
        ]
    rows += [
        ("filled without asking", part(delivery.touched, delivery.rows)),
        ("  right among those", part(int(delivery.right.sum()), int(delivery.filled.sum()))),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {value}" for name, value in rows]
    return "\n".join([*lines, "", _table(findings)]).replace("\N{NO-BREAK SPACE}", " ")


def _table(findings: Findings) -> str:
    header = ("category, worst first", "tickets", "F1", "right when said", "found", "fills", "right when filled")
    rows = [
        (
            row.name,
            number(row.support),
            percentage(row.f1) if row.support else "-",
            part(row.hits, row.answers),
            part(row.hits, row.support),
            row.threshold,
            part(row.right, row.filled),
        )
        for row in categories(findings)
    ]
    return aligned([header, *rows])
