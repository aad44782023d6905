"""Taking channels out of the weights and the graph."""
