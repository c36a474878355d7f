"""``presort tickets``: the account's solved tickets as a file that a model learns from."""
