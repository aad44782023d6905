"""Weights that become zero one by one, or in patterns."""
