"""``presort pause``, ``resume``, ``restore`` and ``status``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from integration.controls import Controls
from integration.records import Model
from integration.store import Store
from tests.operating.conftest import SETTINGS, Typed


def test_a_pause_is_recorded_and_ended_by_resume(store: Store, presort: Typed) -> None:
    assert "until `presort resume`" in presort("pause", "--by", "anna", "--reason", "wrong since noon").output
    again = presort("pause", "--by", "ben").output
    assert re.match(r"paused already, by anna, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d CES?T", again)
    shown = presort("status").output
    assert re.search(r"^writes +paused by anna since .* CES?T: wrong since noon$", shown, re.MULTILINE)
    store.defer("presort.write", [{}], delay_s=0, reason="paused by anna")
    assert "1 messages wait" in presort("resume", "--by", "ben").output
    shown = presort("status").output
    assert re.search(r"^writes +on$", shown, re.MULTILINE)
    assert re.search(r"^change .* ben resumed all writes$", shown, re.MULTILINE)


def test_without_redis_it_says_where_to_look(presort: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESORT_REDIS_URL", "redis://127.0.0.1:9/0")
    result = presort("pause")
    assert (result.exit_code, "Is Redis running at PRESORT_REDIS_URL?" in result.output) == (1, True)


def test_whoever_types_it_is_named(store: Store, presort: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "carla")
    presort("pause")
    switch = Controls(store.redis).switch()
    assert switch is not None
    assert switch.by.startswith("carla@")


def test_a_container_without_a_user_name_may_pause(
    store: Store, presort: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    presort("pause")
    switch = Controls(store.redis).switch()
    assert switch is not None
    assert switch.by.startswith("uid ")


def test_resume_says_when_the_settings_still_pause(settings_file: Path, presort: Typed) -> None:
    settings_file.write_text(SETTINGS.replace("[[", "paused = true\n[["), encoding="utf-8")
    assert "presort.toml still says `paused = true`" in presort("resume").output
    assert "paused in presort.toml" in presort("status").output


def test_the_days_share_is_shown(settings_file: Path, presort: Typed) -> None:
    settings_file.write_text(SETTINGS.replace("[[", "writes_per_day = 8\n[["), encoding="utf-8")
    assert "on, 0 of 8 tickets today (0.0%)" in presort("status").output


def test_modes_are_shown_with_what_the_model_does_not_know(settings_file: Path, store: Store, presort: Typed) -> None:
    modes = '[classifier.categories]\nrefund = "prefill"\nrefnd = "shadow"\n[classifier.brands]\n77 = "shadow"\n'
    settings_file.write_text(SETTINGS + modes, encoding="utf-8")
    labels = {"refund": "Refund"}
    model = Model(name="m", version="1", graph="int8", provider="cpu", labels=labels, loaded_at=0)
    store.publish_model("category", model)
    Controls(store.redis).demote("category", "refund", "50 of 90 right")
    shown = presort("status").output
    for line in (
        r"suggest",
        r"category refund: prefill",
        r"brand 77: shadow",
        r"category refund: demoted to suggest since .*: 50 of 90 right",
        r"presort.toml names categories that m@1 does not know: refnd",
    ):
        assert re.search(rf"^category +{line}$", shown, re.MULTILINE), line


def test_a_demoted_category_is_listed_and_restored(store: Store, presort: Typed) -> None:
    Controls(store.redis).demote("category", "refund", "50 of 90 right")
    listed = presort("restore").output
    assert re.match(r"category refund  since .* CES?T  50 of 90 right\n1 demoted\n", listed)
    assert "has its mode of presort.toml again" in presort("restore", "category", "refund", "--by", "anna").output
    refused = presort("restore", "category", "refund")
    assert (refused.exit_code, "is not demoted" in refused.output) == (1, True)
    assert presort("restore").output == "0 demoted\n"
    assert presort("restore", "category").exit_code == 2
