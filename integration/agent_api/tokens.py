"""Who asks: a JSON Web Token that Zendesk's proxy signs with the app's secret, which no browser sees.

The signature proves that the request came through the app as installed in an account that knows the secret. The claims
are written in the agent's browser: they say whose feedback it is and tie a token to one ticket, and prove neither. So
no answer of this API may depend on who the agent says to be.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import jwt
import msgspec

ALGORITHM = "HS256"
AUDIENCE = "presort"

LIFE_S = 60
"""What the app asks Zendesk for. A token that would live longer is refused: one that leaked is soon worthless."""

LEEWAY_S = 10
"""Between Zendesk's clock and ours."""


class TokenError(Exception):
    """A request that is not proven to come from the app; the message tells the admin what to mend."""


Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class Claims(msgspec.Struct, frozen=True):
    """What a token says: of which ticket, and which agent."""

    exp: float
    ticket_id: Id
    agent_id: Id


def verify(secrets: Sequence[str], authorization: str | None) -> Claims:
    """Accept what was signed with any of the secrets: several, while one is being replaced.

    Args:
        secrets: of the app.
        authorization: the header's value, None when absent.

    Raises:
        TokenError: no token, another signature or algorithm, expired, made for long or for something else, or a claim
            is missing.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenError("no bearer token: requests come from the app in Zendesk, not by hand")
    for secret in secrets:
        try:
            found = jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],  # never what the token itself names
                audience=AUDIENCE,
                leeway=LEEWAY_S,
                options={"require": ["exp", "aud"]},
            )
            claims = msgspec.convert(found, Claims, strict=False)  # numbers may come as text
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError:
            raise TokenError("the token has expired: check this machine's clock") from None
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            # Its kind only: its text tells of bytes of the token, and an agent may have the secret put in there.
            raise TokenError(f"the token is not the app's: {type(error).__name__}") from None
        if claims.exp > time.time() + LIFE_S + LEEWAY_S:
            raise TokenError(f"the token lives longer than {LIFE_S} s: the app asks for no such, or a clock is wrong")
        return claims
    raise TokenError("the signature matches no secret: the app's setting and PRESORT_AGENT_SECRETS must be the same")
