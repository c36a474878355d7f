"""Makes the model and owns its contract, the bundle."""
