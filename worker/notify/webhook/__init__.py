"""A webhook of your own: JSON, signed as Zendesk signs its own, with an id by which to know repetitions."""
