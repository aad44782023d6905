"""Which channels stay, given how much they matter."""
