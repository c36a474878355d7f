"""zenpy as Presort uses it: one way to connect, and everything it raises as an error of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from zenpy import Zenpy
from zenpy.lib.exception import APIException, ZenpyException

from integration import settings
from integration.store import Store
from integration.zendesk.errors import (
    Conflict,
    Forbidden,
    NoAccess,
    NotFound,
    PermanentError,
    RateLimited,
    Refused,
    TemporaryError,
    UnreadableError,
    ZendeskError,
)
from integration.zendesk.session import ACCESS_S, AuthorizedSession

# At DEBUG zenpy logs requests and answers whole, ticket text included.
logging.getLogger("zenpy").setLevel(logging.INFO)


def connect(config: settings.Zendesk, client_secret: str, store: Store) -> Zenpy:
    """A client for this process; it connects with the first call."""
    return Zenpy(
        subdomain=config.subdomain,
        session=AuthorizedSession(config, client_secret, store),
        timeout=config.timeout_s,
        disable_cache=True,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Everything zenpy and requests raise, as one of our own errors; ticket text stays out of the message."""
    try:
        yield
    except ZendeskError:
        raise
    except requests.exceptions.InvalidSchema as error:
        raise UnreadableError("Zendesk's answer leads to another host, where our credentials do not go") from error
    except (requests.RequestException, APIException) as error:
        response = getattr(error, "response", None)
        if response is None:
            raise TemporaryError(f"Zendesk cannot be reached: {type(error).__name__}") from error
        raise _from_status(response) from error
    except (ZenpyException, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableError(f"Zendesk's answer could not be read: {type(error).__name__}") from error


def get(
    zenpy: Zenpy, config: settings.Zendesk, path: str, params: Mapping[str, str] | None = None
) -> requests.Response:
    """For what zenpy keeps from us: headers, and routes and parameters it does not know; within ``translated``.

    Args:
        zenpy: whose session is used.
        config: the account.
        path: behind ``/api/v2/``.
        params: of the query.
    """
    session: requests.Session = zenpy.users.session
    url = f"https://{config.subdomain}.zendesk.com/api/v2/{path}"
    answer = session.get(url, params=params, timeout=config.timeout_s)
    answer.raise_for_status()
    return answer


def member(holder: Any, name: str) -> Any:  # noqa: ANN401 - zenpy's objects have no types
    """An attribute of what zenpy read: it gives dicts in some places and objects in others."""
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def _from_status(response: requests.Response) -> ZendeskError:
    status, code = response.status_code, _error_code(response)
    if code == "TooManyJobs":
        return RateLimited("30 bulk jobs are running already (TooManyJobs)", 5.0)
    if status >= 500 or status == 408:
        return TemporaryError(f"Zendesk answered {status}")
    known = {
        401: NoAccess(
            "Zendesk refused our credentials (401): is the OAuth client, or the API token, enabled?", ACCESS_S
        ),
        403: Forbidden(
            "Zendesk forbids it (403): Presort's user needs the right to edit tickets, and to install Presort or to "
            "export tickets the role of an admin; scope read write"
        ),
        404: NotFound(f"Zendesk has no such thing: {code}"),
        409: Conflict(f"the ticket changed meanwhile: {code}"),
    }
    kind = Refused if status in (400, 422) else PermanentError
    return known.get(status) or kind(f"Zendesk refused the request: {status} {code}")


def _error_code(response: requests.Response) -> str:
    """The short code only: descriptions may quote what was sent."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return ""
    code = answer.get("error") if isinstance(answer, dict) else None
    title = code.get("title") if isinstance(code, dict) else code
    return title[:80] if isinstance(title, str) else ""
