"""What the detector would have said of the past, at each sensitivity, for an admin to choose one by looking."""
