"""Which strategy, and how many labels: every strategy learns from growing parts of the same rows."""
