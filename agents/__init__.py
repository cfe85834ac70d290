"""One agent a topic, thin: take a run, call the domain, send."""
