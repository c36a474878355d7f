"""Zendesk: what it sends, what it takes, how it fails. All use of zenpy is in this folder."""
