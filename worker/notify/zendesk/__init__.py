"""A ticket for the group that looks after alerts: commented when it changes, solved when it ends."""
