"""Road graphs from files of several formats, and the commands ``trafficapp graph``."""
