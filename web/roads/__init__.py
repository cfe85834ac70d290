"""Views of roads: how they flow, predictions, routes, trends, notifications, exports."""
