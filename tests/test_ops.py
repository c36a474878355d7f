"""What ``ops/`` asks Prometheus for exists: the dashboard's and the rules' metrics and labels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration import measures, notices
from integration.measures import Tally
from integration.receiver.app import create_app
from integration.records import Model
from integration.settings import Settings
from integration.store import Store
from tests.test_docs import OPERATIONS, exposed, section

OPS = Path(__file__).parent.parent / "ops"
METRIC = re.compile(r"\b(presort_[a-z_]+)")
GRID = 24
"""Columns of a dashboard."""

SUFFIX = re.compile(r"_(bucket|sum|count)$")


def rules() -> list[dict[str, Any]]:
    """Every alert rule."""
    (group,) = yaml.safe_load((OPS / "presort-alerts.yml").read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    """Every panel that asks for something."""
    document = json.loads((OPS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [one for one in document["panels"] if one["type"] != "row"]


def expressions() -> list[str]:
    return [one["expr"] for one in rules()] + [each["expr"] for one in panels() for each in one["targets"]]


def asked() -> set[str]:
    """The metrics that some expression asks for, without what a histogram's series have behind its name."""
    return {SUFFIX.sub("", name) for one in expressions() for name in METRIC.findall(one)}


def test_every_metric_that_is_asked_for_exists(config: Settings, store: Store) -> None:
    assert store.redis.dbsize() == 0
    assert len(asked()) > 20
    assert asked() - exposed(config) == set()


def test_the_dashboard_shows_every_metric(config: Settings, store: Store) -> None:
    """Nobody looks for what is not shown."""
    assert store.redis.dbsize() == 0
    shown = {
        SUFFIX.sub("", name) for one in panels() for each in one["targets"] for name in METRIC.findall(each["expr"])
    }
    assert exposed(config) - shown == set()


def test_labels_that_are_asked_for_exist() -> None:
    """Those in braces and behind ``by``; ``le``, ``job`` and ``instance`` are Prometheus's own."""
    documented = re.findall(r"`presort_[a-z_]+\{([a-z,]+)\}`", section(OPERATIONS, "### Metrics"))
    known = {label for labels in documented for label in labels.split(",")} | {"le", "job", "instance"}
    found = {label for one in expressions() for label in re.findall(r'(\w+)=~?"', one)}
    found |= {label for one in expressions() for by in re.findall(r"by \(([^)]+)\)", one) for label in by.split(", ")}
    assert "severity" in found
    assert found - known == set()


def test_a_metric_has_the_labels_that_it_is_asked_for() -> None:
    """Another metric's label would match nothing, and the panel stay empty."""
    found = re.findall(r"`(presort_[a-z_]+)(?:\{([a-z,]+)\})?`", section(OPERATIONS, "### Metrics"))
    documented = {
        name: {one for other, labels in found if other == name for one in labels.split(",")} for name, _ in found
    }
    for expression in expressions():
        for name, braces in re.findall(r"\b(presort_[a-z_]+)(?:\{([^}]*)\})?", expression):
            by = {label for one in re.findall(r"by \(([^)]+)\)", expression) for label in one.split(", ")}
            wanted = {*by, *re.findall(r'(\w+)[=!]~?"', braces)} - {"le", "job", "instance"}
            assert wanted <= documented[SUFFIX.sub("", name)], expression


def test_grafana_finds_a_place_and_a_source_for_every_panel() -> None:
    """What its importer does not refuse but draws wrongly: ids twice, panels over each other, another's data source."""
    document = json.loads((OPS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    assert document.get("id") is None, "an id is of the Grafana that exported it"
    (source,) = document["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    ids = [one["id"] for one in document["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for one in document["panels"]:
        at = one["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < GRID
        assert not cells & taken, one["title"]
        taken |= cells
    for one in panels():
        assert one["type"] in {"stat", "timeseries", "table"}
        refs = [each["refId"] for each in one["targets"]]
        assert len(set(refs)) == len(refs) > 0
        for where in (one, *one["targets"]):
            assert where["datasource"] == {"type": "prometheus", "uid": f"${{{source['name']}}}"}, one["title"]


def test_documented_labels_are_the_exposed_ones(config: Settings, store: Store) -> None:
    tally = Tally()
    for one in measures.MEASURES:
        labels = [f"a {label}" for label in one.labels]
        tally.observe(one, 1.0, *labels) if one.bounds else tally.count(one, *labels)
    tally.tell(store.redis)
    model = Model(name="m", version="1", graph="int8", provider="CPU", labels={}, loaded_at=0)
    store.publish_model("category", model)
    notices.note_trouble(store.redis, "pager", notices.Trouble(since=0, tries=1, again_at=0, reason=""))
    table = section(OPERATIONS, "### Metrics")
    lines = create_app(config).test_client().get("/metrics").text.splitlines()
    for name, line in {SUFFIX.sub("", one.partition("{")[0]): one for one in lines if "{" in one}.items():
        if not name.startswith("presort_") or name.endswith("_created"):
            continue
        found = sorted(set(re.findall(r'(\w+)="', line.rpartition("}")[0])) - {"le"})
        documented = re.search(rf"`{name}(?:\{{([a-z,]+)\}})?`", table)
        assert documented, name
        assert sorted((documented[1] or "").split(",") if documented[1] else []) == found, name


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_has_a_severity_and_says_what_is_wrong(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"].strip()
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_scrape_configuration_reads_the_rules() -> None:
    document = yaml.safe_load((OPS / "prometheus.yml").read_text(encoding="utf-8"))
    assert [(OPS / name).exists() for name in document["rule_files"]] == [True]
    (job,) = document["scrape_configs"]
    assert all(f'job="{job["job_name"]}"' in one["expr"] for one in rules() if "up{" in one["expr"])
