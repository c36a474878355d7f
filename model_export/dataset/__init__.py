"""From a support team's history to rows a model may learn from, and a report of what was left out."""
