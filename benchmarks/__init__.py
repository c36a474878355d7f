"""Measurements run by hand; their results are kept in docs/benchmarks.md."""
