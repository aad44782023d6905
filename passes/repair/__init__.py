"""Weights that are left, fitted anew to what the original computes; nothing is trained."""
