"""The whole way, signed webhook to written field, beside its limit and its rivals."""
