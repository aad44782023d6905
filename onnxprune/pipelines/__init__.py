"""Passes in a row: pipelines, textual specs, presets, plans."""
