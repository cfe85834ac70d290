"""Routes through the graph, and the travel times that they are found by."""
