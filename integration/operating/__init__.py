"""The commands by which people see how Presort stands, and hold it back."""
