"""``presort-model``'s commands, a file for each kind of work; what they need heavily they import when called."""
