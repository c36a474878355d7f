"""The agent's sidebar: its API, its package, the app in a browser."""
