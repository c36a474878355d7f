"""``presort backfill``: which old tickets to sort, how long that takes, and how far it is."""
