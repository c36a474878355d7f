"""PagerDuty's Events API v2: an alert is an incident that opens, is acknowledged and ends by itself."""
