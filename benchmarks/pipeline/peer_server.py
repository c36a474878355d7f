"""The same graph behind LitServe with dynamic batching; run by a Python that has LitServe: PORT GRAPH TOKENIZER."""

# No "from __future__ import annotations": LitServe reads the annotations themselves.
import sys
from typing import Any

import litserve  # type: ignore[import-not-found,unused-ignore]  # lives in an environment of its own
import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

BATCH, TIMEOUT_S, WORKERS = 8, 0.01, 2


class Classify(litserve.LitAPI):  # type: ignore[misc,unused-ignore]  # no types where LitServe is not installed
    """A text in, its label's number out."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Once a process."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(sys.argv[3])

    def decode_request(self, request: dict[str, Any]) -> str:
        """The body's text."""
        return str(request["text"])

    def predict(self, texts: list[str]) -> list[int]:
        """All texts have one length here, so there is nothing to pad."""
        ids = np.array([one.ids for one in self.tokenizer.encode_batch(texts)], dtype=np.int64)
        logits = self.session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
        return [int(one) for one in logits.argmax(axis=1)]

    def encode_response(self, output: int) -> dict[str, int]:
        """The answer's body."""
        return {"label": output}


if __name__ == "__main__":
    api = Classify(max_batch_size=BATCH, batch_timeout=TIMEOUT_S)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
