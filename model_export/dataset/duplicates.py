"""Texts that say nearly the same: automatic mails that differ by a name, reports sent twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIMILARITY = 0.7
"""Jaccard similarity of two texts' sets of shingles from which on they are near-duplicates."""

SHINGLE = 3
"""Words in a shingle."""

BANDS, BAND = 32, 4
"""Bands of a MinHash and values in a band. Two texts of Jaccard similarity s share a band with probability
1 - (1 - s^4)^32: .9998 at .7, .8 at .47 (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4.2). Pairs that
share one are then held against ``SIMILARITY``, so too many candidates cost time, not rows."""

# Chinese and Japanese write no spaces: there a character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
_DIGITS = re.compile(r"\d+")


def near_duplicates(texts: Iterable[str]) -> NDArray[np.int64]:
    """Number the clusters of near-duplicates.

    Two similar texts are in one cluster, and so are all that a chain of similar texts connects: only then can clusters
    be told apart without leaving similar texts on both sides. Time is linear in the texts, however alike they are.

    Returns:
        (N,) cluster numbers from 0; a text without near-duplicates has one of its own.
    """
    hashes = MinHash.generator(map(_shingles, texts), num_perm=BANDS * BAND)
    signatures = np.array([one.hashvalues for one in hashes], dtype=np.uint32).reshape(-1, BANDS * BAND)
    if not len(signatures):
        return np.zeros(0, dtype=np.int64)
    pairs = np.concatenate(list(_similar(signatures)))
    edges = coo_array((np.ones(len(pairs), dtype=np.int8), pairs.T), shape=(len(signatures),) * 2)
    return connected_components(edges, directed=False)[1].astype(np.int64)


def _shingles(text: str) -> list[bytes]:
    """Runs of three words in lower case; order and ticket numbers make no difference."""
    words: Sequence[str] = _WORD.findall(_DIGITS.sub("0", text.lower())) or [text]
    return [" ".join(words[start : start + SHINGLE]).encode() for start in range(max(1, len(words) - SHINGLE + 1))]


def _similar(signatures: NDArray[np.uint32]) -> Iterator[NDArray[np.int64]]:
    """Pairs (P, 2) of similar rows: in each band, every row with the first one whose values there are the same."""
    rows = np.arange(len(signatures))
    for start in range(0, signatures.shape[1], BAND):
        _, first, group = np.unique(signatures[:, start : start + BAND], axis=0, return_index=True, return_inverse=True)
        pairs = np.stack([rows, first[group]], axis=1)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        # The share of equal values estimates the Jaccard similarity (Broder 1997).
        same = (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1)
        yield pairs[same >= SIMILARITY]
