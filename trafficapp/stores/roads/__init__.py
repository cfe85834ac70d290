"""Roads: observations, predictions, notifications and the graph's speeds, then and now."""
