"""An HTTP session for zenpy: a way in, no sleeping on 429, a local Zendesk when asked for."""

from __future__ import annotations

import logging
import math
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from integration import settings
from integration.store import Store
from integration.zendesk.errors import NoAccess, RateLimited, TemporaryError

TOKEN_LIFE_S = 30 * 60
"""Asked for and assumed: Zendesk's answer may leave ``expires_in`` out. It allows 5 minutes to 48 hours."""

ACCESS_S = 60.0
"""How often a closed door is tried."""

LEGACY_WARNING = (
    "a legacy API token opens the account: Zendesk stops all of them on 2027-04-30 and has made none since 2026-10-27, "
    "so a lost one cannot be replaced. Make a confidential OAuth client and set client_id instead of email in "
    "presort.toml"
)

log = logging.getLogger("presort.zendesk")


class AuthorizedSession(requests.Session):
    """A session that zenpy takes as already authorised."""

    authorized = True

    def __init__(self, config: settings.Zendesk, client_secret: str, store: Store) -> None:
        """Without retries of its own: zenpy's would make one silent server cost four timeouts."""
        super().__init__()
        if config.email is not None:
            log.warning(LEGACY_WARNING)
            self.auth = HTTPBasicAuth(f"{config.email}/token", client_secret)
        else:
            self.auth = _ClientCredentials(config, client_secret, store)
        self.headers["User-Agent"] = "Presort"
        # The account and nobody else: answers' links and redirects may name any host, and each request is authorised.
        self.adapters.clear()
        adapter = LocalAdapter(config.url) if config.url else HTTPAdapter()
        self.mount(f"https://{config.subdomain}.zendesk.com/", adapter)
        self.hooks["response"].append(_raise_rate_limited)


class _ClientCredentials(AuthBase):
    """Bearer tokens by the client_credentials grant (RFC 6749, section 4.4), shared between processes.

    There is no refresh token: a token that ran out is minted again, once a request.
    """

    def __init__(self, config: settings.Zendesk, client_secret: str, store: Store) -> None:
        self._config, self._client_id = config, str(config.client_id)
        self._secret, self._store = client_secret, store

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._store.token(self._client_id) or self._mint()}"
        request.register_hook("response", self._renew)  # type: ignore[no-untyped-call]  # types-requests leaves it so
        return request

    def _renew(self, response: requests.Response, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        sent = response.request.headers
        # Without our token: a redirect led to another host, which is not to get a new one.
        if response.status_code != 401 or "X-Presort-Renewed" in sent or "Authorization" not in sent:
            return response
        self._store.drop_token(self._client_id)
        _ = response.content  # read to the end, so that the connection can be used again
        again = response.request.copy()
        again.headers["Authorization"] = f"Bearer {self._mint()}"
        again.headers["X-Presort-Renewed"] = "1"
        answer: requests.Response = response.connection.send(again, **kwargs)
        answer.history.append(response)
        return answer

    def _mint(self) -> str:
        grant = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._secret,
            "scope": "read write",
            "expires_in": TOKEN_LIFE_S,
        }
        try:
            base = self._config.url or f"https://{self._config.subdomain}.zendesk.com"
            # A redirect (307) would take the secret along, wherever it leads.
            response = requests.post(
                f"{base}/oauth/tokens", json=grant, timeout=self._config.timeout_s, allow_redirects=False
            )
        except requests.RequestException as error:
            raise TemporaryError(f"Zendesk's token endpoint cannot be reached: {type(error).__name__}") from error
        if response.status_code == 429 or response.status_code >= 500:
            raise TemporaryError(f"Zendesk's token endpoint answered {response.status_code}", _retry_after(response))
        try:
            answer = response.json()
            token = str(answer["access_token"])
        except (ValueError, KeyError, TypeError):
            raise NoAccess(
                f"Zendesk gave no token for OAuth client {self._client_id!r} (HTTP {response.status_code}): "
                "check client_id in presort.toml and PRESORT_ZENDESK_CLIENT_SECRET; the client must be confidential",
                ACCESS_S,
            ) from None
        # A minute early, so that no request leaves with a token that runs out on its way.
        life = float(answer.get("expires_in") or TOKEN_LIFE_S) - 60
        if life > 0:
            self._store.save_token(self._client_id, token, life)
        return token


class LocalAdapter(HTTPAdapter):
    """Sends what zenpy addresses to https://<subdomain>.zendesk.com to a local URL instead."""

    def __init__(self, url: str, **kwargs: Any) -> None:  # noqa: ANN401 - HTTPAdapter's own
        self._local = urlsplit(url)
        super().__init__(**kwargs)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - HTTPAdapter's own
        """One request, there and back."""
        addressed = str(request.url)
        parts = urlsplit(addressed)
        # So that the links of a paged answer lead here again, not around this adapter and its retries.
        request.headers["Host"] = parts.netloc
        request.headers["X-Forwarded-Proto"] = parts.scheme
        request.url = urlunsplit(parts._replace(scheme=self._local.scheme, netloc=self._local.netloc))
        try:
            response = super().send(request, *args, **kwargs)
        finally:
            request.url = addressed  # zenpy finds its response handler by the URL it asked for
        response.url = addressed
        return response


def _raise_rate_limited(response: requests.Response, **_: Any) -> None:  # noqa: ANN401 - requests' own
    # zenpy would sleep here, and fail on a fractional Retry-After.
    if response.status_code == 429:
        raise RateLimited("Zendesk answered 429, too many requests", _retry_after(response))


def _retry_after(response: requests.Response) -> float | None:
    """Seconds, at most an hour whatever the header says; None without one that is a number."""
    try:
        seconds = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return min(max(seconds, 0.0), 3600.0) if math.isfinite(seconds) else None
