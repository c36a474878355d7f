"""The specification of worker."""
