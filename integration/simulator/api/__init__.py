"""``/api/v2``: the part of Zendesk's REST API that Presort and its installer use."""
