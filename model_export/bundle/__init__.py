"""The model contract: a bundle on disk, and the one way to prepare text and to ask the model."""
