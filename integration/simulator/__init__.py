"""A local Zendesk, good enough for the real client and real webhooks: no account, no network, state in memory.

It imitates the facts Presort depends on: safe updates, silently dropped values, jobs, rate limits, token expiry,
signed at-least-once deliveries. It is a tool for development, tests and the demo, never for production.
"""
