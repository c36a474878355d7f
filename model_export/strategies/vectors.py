"""Word vectors from a file in GloVe's text format: a word and its numbers a line, separated by spaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.dataset.rows import DataError

_TOKEN = re.compile(r"\w+|[^\w\s]")


class WordVectors:
    """A vector for each word of a vocabulary.

    Attributes:
        table: (words, width).
    """

    def __init__(self, path: Path) -> None:
        """Read the file; word2vec's text format, with the two sizes in its first line, is read as well.

        Raises:
            DataError: it cannot be read, or a line of it is malformed.
        """
        self._index: dict[str, int] = {}
        rows: list[NDArray[np.float32]] = []
        try:
            with path.open(encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    word, *values = line.rstrip().split(" ")
                    if number == 1 and len(values) == 1:
                        continue
                    row = np.array(values, dtype=np.float32)
                    if rows and len(row) != len(rows[0]):
                        raise DataError(
                            f"{path}, line {number} has {len(row)} numbers, the lines before it {len(rows[0])}: "
                            "the file is cut off or no GloVe file"
                        )
                    self._index[word] = len(rows)
                    rows.append(row)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as word vectors ({error}): give a GloVe text file") from error
        if not rows:
            raise DataError(f"{path} has no word vectors in it: give a GloVe text file")
        self.table = np.stack(rows)

    def mean(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The mean vector of each text's known words, (N, width); zeros for a text without any."""
        out = np.zeros((len(texts), self.table.shape[1]), dtype=np.float32)
        for row, text in zip(out, texts, strict=True):
            known = [self._index[token] for token in _TOKEN.findall(text.lower()) if token in self._index]
            if known:
                row[:] = self.table[known].mean(axis=0)
        return out
