"""The simulator, spoken to over HTTP: by the real Zendesk client, by a real receiver, by a real browser."""
