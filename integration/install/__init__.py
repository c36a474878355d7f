"""``presort install`` and ``presort uninstall``: the Zendesk side of Presort, made and taken away again."""
