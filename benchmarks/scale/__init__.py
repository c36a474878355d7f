"""How Presort grows: more workers and receivers, a backlog, a day with bursts, memory; kept in docs/benchmarks.md."""
