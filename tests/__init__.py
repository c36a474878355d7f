"""The specification, run against real parts."""
