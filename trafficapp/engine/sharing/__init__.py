"""Several sinks of one process on one topic: what is fetched once goes to all of them, each at its own offset."""
