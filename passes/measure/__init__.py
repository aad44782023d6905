"""What it costs to cut single groups, measured on data."""
