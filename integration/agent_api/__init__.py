"""What the agent's sidebar app asks: a blueprint of the console, verified by the token that Zendesk's proxy signs."""
