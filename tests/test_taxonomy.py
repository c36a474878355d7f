"""A model's labels against its field's options, and who hears of the difference."""

from __future__ import annotations

from integration import taxonomy
from integration.receiver.app import create_app
from integration.settings import Settings
from integration.store import Store

OPTIONS = {"delivery": "Orders::Delivery", "money_back": "Orders::Refund"}


def test_labels_and_options_that_agree_differ_in_nothing() -> None:
    assert taxonomy.compare(OPTIONS, OPTIONS, {}) == ({}, {}, ())


def test_a_renamed_option_is_gone_and_new_until_an_alias_says_that_it_is_the_same() -> None:
    labels = {"delivery": "Orders::Delivery", "refund": "Orders::Refund"}
    assert taxonomy.compare(labels, OPTIONS, {}) == (
        {"refund": "Orders::Refund"},
        {"money_back": "Orders::Refund"},
        (),
    )
    assert taxonomy.compare(labels, OPTIONS, {"refund": "money_back"}) == ({}, {}, ())


def test_two_labels_may_become_one_option() -> None:
    labels = {"delivery": "", "refund": "", "return": ""}
    aliases = {"refund": "money_back", "return": "money_back"}
    assert taxonomy.compare(labels, OPTIONS, aliases) == ({}, {}, ())


def test_an_alias_to_an_option_that_is_not_there_heals_nothing() -> None:
    labels = {"delivery": "", "refund": "Refund"}
    assert taxonomy.compare(labels, OPTIONS, {"refund": "gone_too", "unknown": "delivery"}) == (
        {"refund": "Refund"},
        {"money_back": "Orders::Refund"},
        ("unknown",),
    )


def test_what_could_not_be_written_is_counted_by_label_and_is_a_metric(config: Settings, store: Store) -> None:
    taxonomy.count_gone(store.redis, "category", {"refund": 2})
    taxonomy.count_gone(store.redis, "category", {"refund": 1, "spam": 1})
    assert taxonomy.gone(store.redis, "category") == {"refund": 3, "spam": 1}
    assert taxonomy.gone(store.redis, "urgency") == {}
    assert 0 < store.redis.ttl("presort:gone:category") <= taxonomy.GONE_TTL
    shown = create_app(config).test_client().get("/metrics").text
    assert 'presort_option_missing_total{classifier="category",label="refund"} 3.0' in shown
