"""``presort tickets``: from an account, through the real zenpy, to a file that ``presort-model`` reads."""
