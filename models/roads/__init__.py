"""Messages and answers about roads: the feed, predictions, routes, notifications."""
