"""``presort alerts``: what people see of alerts, and what they say to them."""
