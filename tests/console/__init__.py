"""The admins' console: its door, its pages, a browser on them."""
