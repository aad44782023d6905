"""Feeds: what a model is run on."""
