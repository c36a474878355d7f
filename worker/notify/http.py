"""One HTTP request of a channel, with every way it can fail."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from types import MappingProxyType

import requests
from urllib3.exceptions import NewConnectionError

from worker.notify.errors import SendError

TIMEOUT_S = 10.0
"""To connect, and between two bytes of the answer: one slow channel holds up the others for no longer."""

PATIENCE_S = 3600.0
"""The longest pause that a channel may ask for."""

_TRY_LATER = {408, 425, 429}

# At DEBUG it logs paths, and a channel's path may be its secret.
logging.getLogger("urllib3").setLevel(logging.INFO)


def post(url: str, body: bytes, headers: Mapping[str, str], cures: Mapping[int, str] = MappingProxyType({})) -> str:
    """POST a JSON document; returns what was answered, cut to a line, for `presort alerts test`.

    ``cures`` has the channel's own, by status.

    Neither URL nor answer is in an error's text: the one may hold a secret, the other quote what was sent.

    Raises:
        SendError: temporary for 408, 425, 429, 5xx and what never arrived; permanent for all else but 2xx.
    """
    sent = {"Content-Type": "application/json", "User-Agent": "Presort", **headers}
    try:
        # A redirected POST would go on as a GET without its body, and look well.
        response = requests.post(url, data=body, headers=sent, timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        cause = getattr(error.args[0] if error.args else None, "reason", None)
        unreached = isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError)
        text = f"nobody answered within {TIMEOUT_S:g} s" if isinstance(error, requests.Timeout) else "no connection"
        message = f"{text} ({type(error).__name__})"
        permanent = isinstance(error, ValueError)  # the URL is none: requests' InvalidURL and its like
        raise SendError(message, permanent=permanent, perhaps_heard=not unreached) from None
    status = response.status_code
    if 200 <= status < 300:
        return f"HTTP {status} {' '.join(response.text.split())[:200]}".rstrip()
    if status >= 500 or status in _TRY_LATER:
        raise SendError(
            f"it answered {status}", permanent=False, retry_after=_retry_after(response), perhaps_heard=status >= 500
        )
    cure = cures.get(status) or _CURES.get(status)
    raise SendError(f"it answered {status}" + (f": {cure}" if cure else ""), permanent=True)


_CURES = {
    301: "a redirect, set url to where it leads",
    302: "a redirect, set url to where it leads",
    307: "a redirect, set url to where it leads",
    308: "a redirect, set url to where it leads",
    400: "it does not understand what was sent",
    401: "it does not know our secret; set the channel's anew",
    403: "our secret does not allow it; set the channel's anew, or allow it there",
    404: "nothing is there; check the channel's url",
    405: "nothing takes a POST there; check the channel's url",
    413: "it takes no message of that size",
}


def _retry_after(response: requests.Response) -> float | None:
    """Seconds, when the header is a number."""
    try:
        seconds = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return min(max(seconds, 0.0), PATIENCE_S) if math.isfinite(seconds) else None
