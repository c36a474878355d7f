"""Errors as Zendesk words them; clients tell them apart by the ``error`` member, so the words matter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify


class ApiError(Exception):
    """A refusal, answered with its status and a JSON body of ``error`` and ``description``."""

    def __init__(
        self,
        status: int,
        error: str,
        description: str = "",
        *,
        details: Mapping[str, list[dict[str, str]]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description or error)
        self.status = status
        self.error = error
        self.description = description
        self.details = details
        self.headers = headers or {}

    def text(self) -> str:
        """The most telling sentence: what is wrong with the first value, else the description."""
        for problems in (self.details or {}).values():
            return str(problems[0]["description"])
        return self.description or self.error

    def response(self) -> Response:
        """The answer to send."""
        body: dict[str, Any] = {"error": self.error}
        if self.description:
            body["description"] = self.description
        if self.details:
            body["details"] = self.details
        response = jsonify(body)
        response.status_code = self.status
        response.headers.update(self.headers)
        return response


def not_found() -> ApiError:
    """A record that never was or is deleted."""
    return ApiError(404, "RecordNotFound", "Not found")


def invalid(name: str, description: str) -> ApiError:
    """A value that the record cannot take."""
    return ApiError(422, "RecordInvalid", "Record validation errors", details={name: [{"description": description}]})


def conflict() -> ApiError:
    """A safe update whose stamp is older than the ticket."""
    return ApiError(
        409,
        "UpdateConflict",
        "Safe Update prevented the update due to outdated ticket data. "
        "Please fetch the latest ticket data and try again.",
    )


def limited(what: str, retry_after_s: float) -> ApiError:
    """A budget is spent; whole seconds, because clients parse ``Retry-After`` as an integer."""
    headers = {"Retry-After": str(max(1, math.ceil(retry_after_s)))}
    return ApiError(429, "APIRateLimitExceeded", f"Number of allowed {what} exceeded", headers=headers)


def too_many_values(limit: int) -> ApiError:
    """A list that is longer than one request may carry."""
    return ApiError(400, "TooManyValues", f"Too many values: at most {limit}")
