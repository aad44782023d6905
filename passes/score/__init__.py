"""How much each channel matters; a file each criterion."""
