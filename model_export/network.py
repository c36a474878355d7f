"""Fine-tuned networks in a folder, as transformers saves them: ours, and those that were trained elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from model_export.base import BaseModelError, MeanPooled, convert_bert
from model_export.dataset.arrays import assemble, rows_of
from model_export.dataset.rows import Dataset, Task
from model_export.dataset.splitting import PARTS
from model_export.factory import Exportable

PROBLEMS: dict[Task, str] = {"single": "single_label_classification", "multi": "multi_label_classification"}
"""Transformers' names of the tasks."""

LONGEST = 512
"""Tokens of a text, where the tokenizer does not say how many it was trained with."""


class NetworkError(Exception):
    """A network that cannot become a bundle, or not with this data; the message names the cause and the cure."""


class NotAClassifierError(NetworkError):
    """There is no sequence classifier of BERT's or DistilBERT's kind in the folder."""


class LabelsDifferError(NetworkError):
    """The network does not know labels that the data has."""


class SizesDifferError(NetworkError):
    """Parts of the network do not fit each other."""


class Network(NamedTuple):
    """A fine-tuned classifier.

    Attributes:
        model: in ``eval`` mode, in DistilBERT's layout.
        tokenizer: without padding and truncation.
        max_length: tokens of a text that it was trained to read, special tokens included.
        labels: (L) by number.
        task: None where the folder does not say.
        data: fingerprint of the data set it was trained on; None where the folder does not say.
        source: where it comes from.
    """

    model: PreTrainedModel
    tokenizer: Tokenizer
    max_length: int
    labels: tuple[str, ...]
    task: Task | None
    data: str | None
    source: str

    def describe(self) -> str:
        """Where it comes from, and its size."""
        size = sum(parameter.numel() for parameter in self.model.parameters()) / 1e6
        return f"{self.source}, {size:.1f} M parameters"


class TanhPooled(DistilBertForSequenceClassification):  # type: ignore[misc]  # untyped base
    """BERT's classification head on DistilBERT's encoder: the pooler's tanh where DistilBERT has a ReLU."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
        """Logits, (batch, labels)."""
        first = self.distilbert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, 0]
        pooled = functional.tanh(self.pre_classifier(first))
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


def save_network(fitted: Exportable, dataset: Dataset, folder: Path) -> None:
    """Write weights, configuration with the labels, and tokenizer, as ``load_network`` and transformers read them.

    A network with a mean-pooled head (a sentence encoder as base, or ``few_shot``) is read by ``load_network`` only.
    """
    config = fitted.model.config
    config.id2label = dict(enumerate(dataset.labels))
    config.label2id = {label: number for number, label in enumerate(dataset.labels)}
    config.problem_type = PROBLEMS[dataset.task]
    config.presort_data = dataset.fingerprint
    fitted.model.save_pretrained(folder)
    special = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
    vocabulary = fitted.tokenizer.get_vocab()
    known = {f"{role}_token": token for role, token in special.items() if token in vocabulary}
    PreTrainedTokenizerFast(
        tokenizer_object=fitted.tokenizer, model_max_length=fitted.max_length, **known
    ).save_pretrained(folder)


def load_network(folder: Path, max_length: int | None = None) -> Network:
    """Read a BERT or DistilBERT sequence classifier.

    Args:
        folder: as ``save_pretrained`` of model and tokenizer, or ``save_network``, wrote it.
        max_length: None for what the tokenizer says, at most ``LONGEST``.

    Raises:
        NotAClassifierError, SizesDifferError: see there.
        NetworkError: a file is missing or malformed.
    """
    try:
        config = AutoConfig.from_pretrained(folder)
        kind = (config.architectures or ["nothing"])[0]
        if kind not in _KINDS:
            raise NotAClassifierError(
                f"{folder} holds {kind}, which is no classifier that can be exported: give one of {', '.join(_KINDS)}, "
                "or train one with `presort-model train`"
            )
        model, loading = _KINDS[kind].from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        fast = AutoTokenizer.from_pretrained(folder, use_fast=True)
    except RuntimeError as error:  # what transformers raises when shapes differ
        raise SizesDifferError(
            f"{folder}: the weights do not fit config.json ({_line(error)}): save both again"
        ) from error
    except (OSError, ValueError) as error:  # what transformers raises for the missing and malformed
        raise NetworkError(
            f"{folder} is no complete network ({_line(error)}): it needs config.json, weights, and tokenizer.json or "
            "vocab.txt, as save_pretrained of model and tokenizer writes them"
        ) from error
    if loading["missing_keys"]:
        raise NetworkError(
            f"{folder} lacks the weights {_names(sorted(loading['missing_keys']), 3)}: save the fine-tuned model, not "
            "its base"
        )
    if isinstance(model, BertForSequenceClassification):
        try:
            model = _convert(model)
        except BaseModelError as error:
            raise NetworkError(f"{folder}: {error}") from error
    tokenizer = fast.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    _check_sizes(folder, config, tokenizer)
    longest = max_length or min(LONGEST, fast.model_max_length, config.max_position_embeddings)
    labels = tuple(config.id2label[number] for number in range(config.num_labels))
    task = next((task for task, problem in PROBLEMS.items() if problem == config.problem_type), None)
    data = getattr(config, "presort_data", None)
    return Network(model.eval(), tokenizer, longest, labels, task, data, str(folder))


def in_order_of(labels: Sequence[str], dataset: Dataset, task: Task | None) -> Dataset:
    """The same rows, numbered as a network numbers its labels; labels of the network without rows are allowed.

    Raises:
        LabelsDifferError: the data has a label that the network does not know, or another task.
    """
    if task is not None and task != dataset.task:
        several = {"single": "one label a ticket", "multi": "any number of labels a ticket"}
        raise LabelsDifferError(f"the network gives {several[task]}, the data has {several[dataset.task]}")
    unknown = [label for label in dataset.labels if label not in labels]
    if unknown:
        raise LabelsDifferError(
            f"the network does not know {_names(unknown)}, which the data has; it knows {_names(labels)}: rename with "
            "--aliases, or set id2label in its config.json to the field's values, in the order it was trained with"
        )
    parts = {part: rows_of(getattr(dataset, part), dataset.labels) for part in PARTS}
    return assemble(parts, labels, dataset.names, dataset.task)


_KINDS = {
    kind.__name__: kind for kind in (DistilBertForSequenceClassification, BertForSequenceClassification, MeanPooled)
}


def _convert(bert: BertForSequenceClassification) -> TanhPooled:
    """Exact but for rounding; the pooler becomes the layer before the classifier."""
    masked = BertForMaskedLM(bert.config)
    encoder = {name: value for name, value in bert.bert.state_dict().items() if not name.startswith("pooler.")}
    masked.bert.load_state_dict(encoder)
    distilbert = convert_bert(masked)
    config = distilbert.config
    config.num_labels = bert.config.num_labels
    model = TanhPooled(config)
    model.distilbert.load_state_dict(distilbert.distilbert.state_dict())
    model.pre_classifier.load_state_dict(bert.bert.pooler.dense.state_dict())
    model.classifier.load_state_dict(bert.classifier.state_dict())
    return model


def _check_sizes(folder: Path, config: PretrainedConfig, tokenizer: Tokenizer) -> None:
    words = tokenizer.get_vocab_size()
    if words > config.vocab_size:
        raise SizesDifferError(
            f"{folder}: the tokenizer has {words:,} tokens, the network knows {config.vocab_size:,}: "
            "put the tokenizer there that it was trained with"
        )


def _names(labels: Sequence[str], most: int = 10) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(map(repr, sorted(labels)[:most])) + more


def _line(error: Exception) -> str:
    """The first line of what may be pages."""
    return str(error).strip().partition("\n")[0][:200]
