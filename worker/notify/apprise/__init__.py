"""Apprise: Slack, Teams, e-mail and a hundred more, each a URL."""
