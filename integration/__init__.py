"""Everything that speaks to Zendesk or to people; imports no machine-learning library."""
