"""Decides and acts: the only package that imports both others."""
