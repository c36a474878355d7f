"""The webhook's door: verify, set duplicates aside, publish, answer; nothing else.

Imports nothing: ``gunicorn`` beside it must say where processes' counters meet before prometheus_client is imported.
"""
