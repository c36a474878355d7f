"""``presort doctor``: everything that must hold, looked at one by one, each with its cure."""
