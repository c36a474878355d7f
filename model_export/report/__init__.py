"""What a model can and cannot do, on one page for the people whose tickets it sorts."""
