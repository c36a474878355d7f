"""The channels that tell people of alerts."""
