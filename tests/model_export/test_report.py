"""The report: right figures in plain words, complete pictures, and no way in for what customers write."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest

from model_export.calibrate import Floats, Scored, deliver, probabilities
from model_export.dataset.rows import DataError, Dataset, Split, Task
from model_export.evaluate import Interval, Parity, Speed
from model_export.report.figures import pictures, shown_classes
from model_export.report.findings import Curve, Findings, LearningPoint
from model_export.report.measuring import EXAMPLE_CHARS, find
from model_export.report.page import part, percentage, write_report

EVIL = "<script>alert(1)</script> | [free](javascript:alert(1)) `x` <img src=x onerror=alert(1)> $x_1$ & **bold**"
LABELS = ("billing", "delivery", "evil", "returns")
NAMES = {"billing": "Billing & fees", "delivery": "Orders::Delivery", "evil": '"><b>$evil_x$</b>|`'}
TARGET = 0.8
JULY_2022 = 1_656_633_600.0
DAY = 86_400.0


def history(task: Task, rows: int = 1_200, seed: int = 0) -> tuple[Dataset, Floats, Floats]:
    """A year of tickets, and a model whose probabilities are honest; for calibration and test rows."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (rows, 4))
    likely = probabilities(logits, 1, multi=task == "multi")
    targets = np.array([rng.choice(4, p=row) for row in likely]) if task == "single" else rng.random((rows, 4)) < likely
    created = JULY_2022 + np.sort(rng.random(rows)) * 365 * DAY

    def split(low: float, high: float) -> Split:
        part = slice(int(low * rows), int(high * rows))
        number = range(rows)[part]
        texts = [f"{EVIL} {row} {'word ' * 60}" for row in number]
        weights = np.ones(len(texts), dtype=np.float32)
        return Split(texts, targets[part].astype(np.int64), weights, created[part], [str(row) for row in number])

    dataset = Dataset(
        task=task,
        labels=LABELS,
        names=NAMES,
        train=split(0, 0.2),
        calibration=split(0.2, 0.6),
        test=split(0.6, 1),
        fingerprint="0" * 64,
    )
    return dataset, likely[int(0.2 * rows) : int(0.6 * rows)], likely[int(0.6 * rows) :]


@pytest.fixture(scope="module")
def findings() -> Findings:
    return find(
        "tickets 2023.07 <i>",
        *history("single"),
        target=TARGET,
        parity=Parity(0.991, (0.62, 0.6188)),
        speed=Speed(3.14, 5.9, 324.4),
        sizes={"model.int8.onnx": 22_900_000},
        curves=[
            Curve("Loss <b>", "epoch", "loss", {"training": [(1, 2.0), (2, 1.0)], "development": [(1, 2.1), (2, 1.4)]}),
            Curve("Range test", "learning rate", "loss", {"loss": [(1e-5, 2.0), (1e-3, 1.0), (1e-1, 9.0)]}, log_x=True),
        ],
        learning=[LearningPoint("finetune", n, Interval(f, f - 0.02, f + 0.03)) for n, f in ((100, 0.3), (1000, 0.5))],
    )


@pytest.fixture(scope="module")
def folder(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report"), findings).parent


class Page(HTMLParser):
    """Every element of a page with its attributes, and the text a reader sees."""

    # ruff: noqa: D102 # the base class says when these are called

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_findings_hang_together(findings: Findings) -> None:
    assert findings.rows == findings.scores.support.sum() == 480
    assert findings.confusion is not None
    assert findings.confusion.sum(axis=1).tolist() == findings.scores.support.tolist()
    assert findings.macro_f1.low < findings.macro_f1.value < findings.macro_f1.high
    assert findings.baseline.macro_f1 < findings.macro_f1.low
    assert sum(of for _, of in findings.observed.values()) == findings.rows
    assert sum(right for right, _ in findings.observed.values()) == findings.scores.hits.sum()
    assert findings.months is not None
    assert set(findings.observed) < set(findings.months.names)
    assert [each.thresholds for each in findings.promises if each.target == TARGET] == [findings.chosen.thresholds]


def test_what_our_own_worker_wrote_proves_nothing() -> None:
    """Rows of a lower weight are left out of the proof and of the test."""
    dataset, calibration, test = history("single")
    third = np.where(np.arange(480) % 3 == 0, 0.3, 1).astype(np.float32)
    splits = {name: getattr(dataset, name)._replace(weights=third) for name in ("calibration", "test")}
    findings = find("x", msgspec.structs.replace(dataset, **splits), calibration, test)
    assert sum(threshold.answers for threshold in findings.chosen.thresholds) == findings.rows == 320
    nobody = msgspec.structs.replace(dataset, test=dataset.test._replace(weights=third * 0))
    with pytest.raises(DataError, match="none of the test rows"):
        find("x", nobody, calibration, test)


def test_the_manifest_gets_the_figures_of_the_report(findings: Findings) -> None:
    metrics = findings.metrics()
    assert metrics["macro_f1"] == findings.macro_f1.value
    assert metrics["accuracy"] == findings.scores.hits.sum() / findings.rows
    assert metrics["coverage"] * findings.rows == pytest.approx(findings.chosen.delivery.touched)
    assert set(metrics) >= {"rows", "top3", "majority_macro_f1", "filled_precision", "target_precision"}


def test_the_headline_is_macro_f1_with_the_majority_beside_it(findings: Findings, page: Page) -> None:
    text = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    macro, majority = f"{findings.macro_f1.value * 100:.1f} %", f"{findings.baseline.macro_f1 * 100:.1f} %"
    assert re.search(rf"{re.escape(macro)}\s*macro-F1.*?{re.escape(majority)}\s*macro-F1 of always answering", text)
    delivery = findings.chosen.delivery
    assert f"of tickets filled without asking, {delivery.touched} of 480, at a promise of 80 %" in text
    assert f"of what was filled is right, {delivery.right.sum()} of {delivery.filled.sum()}" in text


def test_nothing_a_customer_or_an_administrator_writes_becomes_html(page: Page) -> None:
    """Texts, names and titles hold elements here; the page has only its own."""
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "i", "iframe", "object", "form", "input"})
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all(
        (a.get("src") or "").startswith("data:image/svg+xml;base64,") for tag, a in page.elements if tag == "img"
    )
    assert "<script>alert(1)</script>" in page.text
    assert '"><b>$evil_x$</b>|`' in page.text
    assert "tickets 2023.07 <i>" in page.text


def test_nothing_becomes_markdown_either(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img" not in text
    assert "[free](" not in text
    assert r"&lt;script&gt;alert(1)&lt;/script&gt; \| \[free\](javascript:alert(1)) \`x\`" in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "evil" in line]
    assert rows
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {4, 8}  # the confusions' and the categories' columns


def test_the_page_is_whole_and_fetches_nothing(folder: Path, page: Page) -> None:
    source = (folder / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in source
    assert "url(" not in source
    assert not any({"href", "srcset", "action"} & attributes.keys() for _, attributes in page.elements)


def test_every_picture_has_words_and_every_link_a_file(folder: Path, page: Page, findings: Findings) -> None:
    names = {"coverage", "reliability", "confusion", "months", "learning", "training-1", "training-2"}
    drawn = pictures(findings)
    assert set(drawn) == {path.stem for path in (folder / "img").iterdir()} == names
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert {image["alt"] for image in images} == {picture.alt for picture in drawn.values()}
    assert all(len(image["alt"] or "") > 20 for image in images)
    linked = re.findall(r"\]\((img/[^)]+)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert {Path(link).stem for link in linked} == names
    assert all((folder / link).is_file() for link in linked)


def test_pictures_are_xml_with_names_as_text_and_follow_light_and_dark(findings: Findings) -> None:
    for picture in pictures(findings).values():
        ET.fromstring(picture.svg)  # noqa: S314 # our own
        assert "prefers-color-scheme:dark" in picture.svg
    assert "$evil_x$" in pictures(findings)["confusion"].svg


def test_the_same_findings_give_the_same_files(findings: Findings, folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, findings)
    for path in folder.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()


def test_categories_stand_worst_first(findings: Findings, folder: Path) -> None:
    lines = (folder / "report.md").read_text(encoding="utf-8").split("worst first")[1].splitlines()
    shares = [float(re.split(r"(?<!\\)\|", line)[3].removesuffix("% ")) for line in lines[4:8]]
    assert shares == sorted(shares) == pytest.approx(sorted(findings.scores.f1 * 100), abs=0.05)


def test_mistakes_are_the_surest_ones_shortened_and_can_be_left_out(findings: Findings, tmp_path: Path) -> None:
    for quoted in findings.mistakes.values():
        assert len(quoted) == 3
        assert [m.confidence for m in quoted] == sorted((m.confidence for m in quoted), reverse=True)
        assert all(len(mistake.text) <= EXAMPLE_CHARS + 2 and mistake.text.endswith(" …") for mistake in quoted)
    write_report(tmp_path, find("tickets", *history("single"), examples=0))
    for name in ("report.html", "report.md"):
        assert "alert(1)" not in (tmp_path / name).read_text(encoding="utf-8")


def test_a_multi_label_model_gets_a_report_without_what_it_cannot_have(tmp_path: Path) -> None:
    dataset, calibration, test = history("multi")
    findings = find("tags 1", dataset, calibration, test, target=TARGET)
    values = [threshold.value for threshold in findings.chosen.thresholds]
    expected = deliver(Scored(test, dataset.test.targets), values)
    write_report(tmp_path, findings)

    assert findings.chosen.delivery.filled.tolist() == expected.filled.tolist()
    assert findings.chosen.delivery.coverage > 0.3
    assert findings.mistakes
    assert set(pictures(findings)) == {"coverage", "reliability"}
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "micro-F1" in source
    assert "several categories" in source
    assert "Month by month" not in source


def test_of_many_classes_those_mixed_up_are_shown() -> None:
    confusion = np.eye(30, dtype=np.int64) * 50
    confusion[3, 17] = confusion[25, 3] = 9
    shown = shown_classes(confusion)
    assert len(shown) == 12
    assert {3, 17, 25} <= set(shown)
    assert shown_classes(confusion[:5, :5]) == [0, 1, 2, 3, 4]


def test_shares_carry_their_counts() -> None:
    space = "\N{NO-BREAK SPACE}"
    assert part(1_419, 1_730) == f"82.0{space}% (1,419 of 1,730)"
    assert part(0, 0) == percentage(float("nan")) == "-"
