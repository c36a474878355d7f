"""The admins' pages: what Presort does now, what it told, and the few things a person may change about it.

A page is a module with a blueprint, a template, and a line in ``pages``. What there is to show is worked out apart
from Flask; what moves is fetched again by ``static/live.js`` as the same piece of HTML, and charts by
``static/charts.js`` as a Plotly figure in JSON with the sentence that says the same.
"""
