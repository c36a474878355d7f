"""The strategies: one interface, both tasks, and what each of them promises beyond it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if not TYPE_CHECKING:
    for library in ("torch", "sklearn", "lightgbm"):
        pytest.importorskip(library, reason="the strategies need the train extra")

import msgspec
import onnxruntime
import torch
from threadpoolctl import threadpool_limits

from model_export.base import MeanPooled, load_base, load_classifier
from model_export.batches import tokenize
from model_export.dataset.rows import DataError, Split
from model_export.range_test import range_test, steepest
from model_export.strategies import STRATEGIES, Settings, StrategyError, load_strategy
from model_export.strategies.adapt_finetune import UNFREEZING_EPOCHS, layered, masked_loss
from model_export.strategies.adapt_finetune import fit as fit_adapted
from model_export.strategies.few_shot import make_pairs
from model_export.strategies.finetune import (
    FineTuned,
    classification_loss,
    default_epochs,
    fit,
    positive_weights,
    predict_logits,
)
from model_export.strategies.naive_bayes import fit as fit_naive_bayes
from model_export.strategies.vectors import WordVectors
from model_export.train import Group
from tests.model_export import tiny

ROWS = 150


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random encoder."""
    folder = tmp_path_factory.mktemp("base")
    tiny.save_bert(folder)
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small only wait for a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(threads)


def settings(base: Path, task: Any = "single", **others: Any) -> Settings:
    given: dict[str, Any] = {
        "epochs": 6,
        "adapt_epochs": 1,
        "learning_rate": 3e-3,
        "batch_size": 8,
        "max_length": 64,
        "device": "cpu",
    } | others
    return Settings(task=task, labels=len(tiny.LABELS), base=str(base), **given)


def rows(name: str) -> int:
    """Contrasting takes 40 pairs a row."""
    return 40 if name == "few_shot" else ROWS


def epochs(name: str) -> int:
    return 1 if name == "few_shot" else 6


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_learns_one_label_a_ticket(name: str, base: Path) -> None:
    train, test = tiny.single(rows(name)), tiny.single(60, seed=1)
    fitted = load_strategy(name).fit(train, test, settings=settings(base, epochs=epochs(name)), progress=False)
    probabilities = fitted.predict_proba(test.texts)
    assert probabilities.shape == (60, len(tiny.LABELS))
    assert probabilities.dtype == np.float32
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (probabilities.argmax(axis=1) == test.targets).mean() > 0.9
    assert fitted.describe()


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_learns_several_labels_a_ticket(name: str, base: Path) -> None:
    train, test = tiny.multi(rows(name)), tiny.multi(60, seed=1)
    fitted = load_strategy(name).fit(train, test, settings=settings(base, "multi", epochs=epochs(name)), progress=False)
    probabilities = fitted.predict_proba(test.texts)
    assert probabilities.shape == test.targets.shape
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert ((probabilities > 0.5) == test.targets).mean() > 0.8


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_label_that_no_training_row_shows_keeps_its_column(name: str, base: Path) -> None:
    """A small training size may miss a label; the columns must not shift."""
    every = tiny.single(rows(name))
    seen = every.targets != 1
    train = Split(
        texts=[text for text, kept in zip(every.texts, seen, strict=True) if kept],
        targets=every.targets[seen],
        weights=every.weights[seen],
        created_at=every.created_at[seen],
        ticket_ids=every.ticket_ids[: seen.sum()],
    )
    fitted = load_strategy(name).fit(train, train, settings=settings(base, epochs=epochs(name)), progress=False)
    answers = fitted.predict_proba(train.texts).argmax(axis=1)
    assert (answers == train.targets).mean() > 0.9


def test_an_unknown_strategy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(StrategyError, match="there is no strategy 'magic': choose one of naive_bayes, tfidf_linear"):
        load_strategy("magic")


def test_one_label_only_is_refused(base: Path) -> None:
    train = tiny.single(20)._replace(targets=np.zeros(20, dtype=np.int64))
    for name in ("naive_bayes", "tfidf_linear", "tfidf_lightgbm", "frozen"):
        with pytest.raises(DataError, match="all 20 training rows have the same label"):
            load_strategy(name).fit(train, train, settings=settings(base), progress=False)


class TestNaiveBayes:
    """Hudl's choice of tokens."""

    def test_a_token_stays_when_it_is_over_four_times_as_frequent_in_one_label(self, base: Path) -> None:
        """Five of six texts with ``refund`` are of one label, four of five with ``late``: 5 > 4, but not 4 > 4."""
        texts = ["refund"] * 6 + ["late"] * 5
        rows = tiny.single(11)._replace(texts=texts, targets=np.array([0] * 5 + [1] + [1] * 4 + [0]))
        fitted = fit_naive_bayes(rows, rows, settings=settings(base))
        assert "1 of 2" in fitted.describe()
        refund, late = fitted.predict_proba(["refund", "late"])
        assert refund[0] > 0.5
        assert late == pytest.approx([6 / 11, 5 / 11, 0]), "nothing but the labels' shares"

    def test_stop_words_say_nothing(self, base: Path) -> None:
        """Nor do n-grams of nothing else."""
        rows = tiny.single(4)._replace(
            texts=["the refund of the"] * 2 + ["and late and"] * 2, targets=np.array([0, 0, 1, 1])
        )
        assert "naive Bayes on 10 of 14" in fit_naive_bayes(rows, rows, settings=settings(base)).describe()

    def test_no_telling_token_is_refused(self, base: Path) -> None:
        """A text that every label has says nothing."""
        rows = tiny.single(4)._replace(texts=["hello"] * 4, targets=np.array([0, 1, 0, 1]))
        with pytest.raises(StrategyError, match=r"no token is 4 times as frequent .* choose tfidf_linear"):
            fit_naive_bayes(rows, rows, settings=settings(base))


def test_boosting_survives_many_labels(base: Path) -> None:
    """77 labels, each told by two words, a fifth of the rows wrong: unrestrained, LightGBM's steps explode."""
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(77), 20)
    filed = [target if rng.random() > 0.2 else rng.integers(77) for target in targets]
    texts = [f"a{label % 9} b{label // 9} " + " ".join(rng.choice(tiny.FILLER, 4)) for label in filed]
    rows = tiny.single(len(texts))._replace(texts=texts, targets=targets)
    given = msgspec.structs.replace(settings(base), labels=77)
    fitted = load_strategy("tfidf_lightgbm").fit(rows, rows, settings=given)
    clean = [f"a{label % 9} b{label // 9}" for label in range(77)]
    assert (fitted.predict_proba(clean).argmax(axis=1) == np.arange(77)).mean() > 0.8


class TestWordVectors:
    """A GloVe file in place of an encoder."""

    def test_a_text_is_the_mean_of_its_known_words(self, tmp_path: Path) -> None:
        """In lower case; nothing known is all zeros."""
        (tmp_path / "glove.txt").write_text("parcel 1 0\nlate 0 1\n. 4 4\n")
        vectors = WordVectors(tmp_path / "glove.txt")
        assert vectors.mean(["Parcel late", "PARCEL unknown", "?"]).tolist() == [[0.5, 0.5], [1, 0], [0, 0]]

    def test_they_replace_the_encoder(self, tmp_path: Path) -> None:
        """One direction a label; the base is not even looked for."""
        lines = [
            f"{word} " + " ".join(str(float(label == other)) for other in tiny.LABELS)
            for label, words in tiny.WORDS.items()
            for word in words
        ]
        (tmp_path / "glove.txt").write_text("\n".join(lines))
        given = settings(tmp_path / "nowhere", vectors=tmp_path / "glove.txt")
        test = tiny.single(60, seed=1)
        fitted = load_strategy("frozen").fit(tiny.single(ROWS), test, settings=given, progress=False)
        assert (fitted.predict_proba(test.texts).argmax(axis=1) == test.targets).mean() > 0.95
        assert "3 features of glove.txt" in fitted.describe()

    @pytest.mark.parametrize(
        ("content", "cause"),
        [
            ("a 1 2\nb 1\n", "line 2 has 1 numbers, the lines before it 2"),
            ("a x y\n", "cannot be read"),
            ("", "no word"),
        ],
    )
    def test_a_file_that_is_none_is_refused(self, tmp_path: Path, content: str, cause: str) -> None:
        """With the line, if it is a line's fault."""
        (tmp_path / "glove.txt").write_text(content)
        with pytest.raises(DataError, match=cause):
            WordVectors(tmp_path / "glove.txt")


class TestFineTuning:
    """The classifier that ships."""

    def test_the_curves_are_there_for_the_report(self, base: Path) -> None:
        """Loss and rate of each step, the score of each epoch."""
        fitted = fit(tiny.single(ROWS), tiny.single(40, seed=1), settings=settings(base), progress=False)
        curves = fitted.curves["finetune"]
        assert len(curves.loss) == len(curves.rate) == 6 * 19
        assert max(curves.rate) == pytest.approx(3e-3), "the encoder's"
        first, *_, last = curves.epochs
        assert last["dev_loss"] < first["dev_loss"]
        assert last["macro_f1"] > 0.9

    def test_a_doubtful_row_pulls_less(self, base: Path) -> None:
        """Half of the rows say the opposite: weight 0 makes them unheard."""
        train = tiny.single(2 * ROWS)
        wrong = np.arange(2 * ROWS) % 2 == 0
        targets = np.where(wrong, (train.targets + 1) % 3, train.targets)
        noisy = train._replace(targets=targets, weights=np.where(wrong, 0, 1).astype(np.float32))
        test = tiny.single(60, seed=1)
        fitted = fit(noisy, test, settings=settings(base), progress=False)
        assert (fitted.predict_proba(test.texts).argmax(axis=1) == test.targets).mean() > 0.9

    def test_an_answer_does_not_depend_on_its_batch(self, base: Path) -> None:
        """Padding is masked, and the order is the asker's."""
        test = tiny.single(70, seed=1)
        fitted = fit(tiny.single(ROWS), test, settings=settings(base, epochs=1), progress=False)
        alone = np.concatenate([fitted.predict_proba([text]) for text in test.texts])
        np.testing.assert_allclose(fitted.predict_proba(test.texts), alone, atol=1e-5)

    def test_the_seed_decides(self, base: Path) -> None:
        """One seed, one model."""
        train, test = tiny.single(40), tiny.single(5, seed=1)
        one, same, other = (
            fit(train, test, settings=settings(base, epochs=1, seed=seed), progress=False).predict_proba(test.texts)
            for seed in (0, 0, 1)
        )
        assert np.array_equal(one, same)
        assert not np.allclose(one, other)

    def test_few_rows_get_more_epochs(self) -> None:
        """About 400 steps, between 4 and 20 epochs."""
        assert [default_epochs(rows, 32) for rows in (50, 1000, 3200, 100_000)] == [20, 13, 4, 4]

    def test_rare_labels_pull_harder_and_by_how_much_is_known(self) -> None:
        """A model of nothing but a bias: at the least loss, the weight's logarithm is what its logit has too much."""

        class Bias(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
            def __init__(self) -> None:
                super().__init__()
                self.bias = torch.nn.Parameter(torch.zeros(3))

            def forward(self, ids: torch.Tensor, _: torch.Tensor) -> SimpleNamespace:
                return SimpleNamespace(logits=self.bias.expand(len(ids), 3))

        targets = np.zeros((400, 3), dtype=np.int64)
        targets[::20, 0] = targets[::2, 1] = targets[::200, 2] = 1
        train = tiny.multi(400)._replace(targets=targets)
        weights = positive_weights(train)
        assert weights.tolist() == pytest.approx([19**0.5, 1.0, 10.0])
        model = Bias()
        loss_of = classification_loss(model, [torch.tensor([1])] * 400, train, weights)
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = loss_of(list(range(400)))
            loss.backward()
            return loss

        optimizer.step(closure)
        assert (model.bias - weights.log()).sigmoid().tolist() == pytest.approx([0.05, 0.5, 0.005], abs=1e-3)

    def test_what_weighing_added_is_taken_off_the_head(self, base: Path) -> None:
        """Fitting ends where training ended, less the weights' logarithms."""
        train = tiny.multi(40)
        train.targets[:, 0] = 0
        train.targets[0, 0] = 1
        train = train._replace(texts=["the"] * 40)
        fitted = fit(train, train, settings=settings(base, "multi", learning_rate=1e-9), progress=False)
        torch.testing.assert_close(
            fitted.model.classifier.bias.detach(), -positive_weights(train).log(), atol=1e-5, rtol=0
        )


class TestAdapting:
    """Masked words, the range test, layer by layer."""

    def test_guessing_masked_words_gets_better(self, base: Path) -> None:
        """Over the labelled and the unlabelled texts."""
        loaded = load_base(str(base))
        sequences = tokenize(loaded.tokenizer, tiny.single(64).texts, 32)
        loss_of = masked_loss(loaded.model, sequences, loaded.tokenizer)
        unlabelled = tuple(tiny.single(400, seed=2).texts)
        given = settings(base, adapt_epochs=8, epochs=1, batch_size=20, unlabelled=unlabelled)
        fitted = fit_adapted(tiny.single(60), tiny.single(5), settings=given, progress=False)
        losses = fitted.curves["adapt"].loss
        assert len(losses) == 8 * 23, "60 rows and 400 without labels"
        assert np.mean(losses[-23:]) < 0.9 * loss_of(list(range(64))).item()
        assert set(fitted.curves) == {"adapt", "finetune"}

    def test_the_range_test_finds_a_rate_and_leaves_no_trace(self, base: Path) -> None:
        """Neither in the weights nor in torch's generator."""
        train = tiny.single(ROWS)
        fitted = fit(train, train, settings=settings(base, epochs=1), progress=False)
        before = {name: value.clone() for name, value in fitted.model.state_dict().items()}
        state = torch.get_rng_state()
        sequences = tokenize(fitted.tokenizer, train.texts, 32)
        loss_of = classification_loss(fitted.model, sequences, train)
        groups = [Group(list(fitted.model.parameters()), 1.0)]
        found = range_test(fitted.model, groups, loss_of, [len(sequence) for sequence in sequences])
        assert 1e-5 < found.best < found.rates[found.losses.argmin()]
        assert all(torch.equal(value, before[name]) for name, value in fitted.model.state_dict().items())
        assert torch.equal(torch.get_rng_state(), state)

    def test_the_range_test_ends_where_the_loss_explodes(self) -> None:
        """At four times the lowest smoothed loss; what comes after says nothing."""
        model = torch.nn.Linear(1, 1)
        losses = itertools.chain([2.0] * 20, [1.0] * 30, itertools.repeat(50.0))
        found = range_test(
            model, [Group(list(model.parameters()), 1.0)], lambda _: model.bias.sum() * 0 + next(losses), [1] * 64
        )
        assert len(found.losses) == 50
        assert found.rates[20] <= found.best < found.rates[-1]

    def test_the_steepest_slope_is_before_the_lowest_point(self) -> None:
        """A fall behind a mountain is no advice."""
        rates = np.logspace(-5, 0, 6)
        assert steepest(rates, np.array([2.0, 1.9, 1.0, 0.95, 3.0, 2.0])) == pytest.approx(1e-4)

    def test_layers_join_from_the_top_and_learn_slower_downwards(self, base: Path) -> None:
        """Head, layers, embeddings; every parameter in one group."""
        model = fit(tiny.single(30), tiny.single(5), settings=settings(base, epochs=1), progress=False).model
        groups = layered(model, 1.0)
        assert [group.rate for group in groups] == pytest.approx([5, 1, 1 / 2.6, 1 / 2.6**2])
        assert [group.from_epoch for group in groups] == [0, 1, 2, UNFREEZING_EPOCHS]
        counted = sum(parameter.numel() for group in groups for parameter in group.parameters)
        assert counted == sum(parameter.numel() for parameter in model.parameters())

    def test_it_resumes_between_its_phases(self, base: Path, tmp_path: Path) -> None:
        """The end of the first phase is a checkpoint: what follows is as if nothing had happened."""
        train, dev = tiny.single(60), tiny.single(10, seed=1)
        given = settings(base, epochs=1, learning_rate=None, checkpoints=tmp_path)
        whole = fit_adapted(train, dev, settings=given, progress=False)
        (tmp_path / "finetune.pt").unlink()
        again = fit_adapted(train, dev, settings=msgspec.structs.replace(given, resume=True), progress=False)
        expected = whole.model.state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in again.model.state_dict().items())
        assert again.curves == whole.curves


class TestFewShot:
    """Pairs, and a head that is exported like any other."""

    def test_pairs_are_alike_when_they_share_a_label(self) -> None:
        """For several labels a ticket, one in common is enough."""
        targets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])
        pairs, alike = make_pairs(targets, np.random.default_rng(0))
        assert (pairs[:, 0] != pairs[:, 1]).all()
        assert (((targets[pairs[:, 0]] * targets[pairs[:, 1]]).sum(axis=1) > 0) == alike).all()
        assert len(pairs) == 20 * (4 + 3), "the last text has no like partner"

    def test_rows_without_pairs_are_refused(self) -> None:
        """Three rows of three labels have nothing alike."""
        with pytest.raises(DataError, match="give two rows of two labels"):
            make_pairs(np.array([0, 1, 2]), np.random.default_rng(0))

    def test_it_is_saved_and_exported_like_a_fine_tuned_one(self, base: Path, tmp_path: Path) -> None:
        """Its class is known again from the saved configuration."""
        train = tiny.single(40)
        fitted = load_strategy("few_shot").fit(train, train, settings=settings(base, epochs=1), progress=False)
        assert isinstance(fitted, FineTuned)
        fitted.model.save_pretrained(tmp_path / "model")
        again = load_classifier(tmp_path / "model")
        assert isinstance(again, MeanPooled)
        sequences = tokenize(fitted.tokenizer, train.texts, 32)
        assert np.array_equal(predict_logits(again, sequences), predict_logits(fitted.model, sequences))
        export = pytest.importorskip(
            "model_export.export", reason="this transformers has no optimum", exc_type=ImportError
        )
        assert export.export_onnx(again, tmp_path / "model.onnx") < 1e-4
        session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
        assert [node.name for node in session.get_inputs()] == ["input_ids", "attention_mask"]
