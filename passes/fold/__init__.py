"""Taking out what is constant or empty."""
