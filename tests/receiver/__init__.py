"""The specification of receiver."""
