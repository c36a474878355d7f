"""Prometheus' Alertmanager, API v2: it groups, routes, inhibits and repeats by the rules that are written there."""
