"""A simulated city day: road speeds, cameras and probes that agree with each other."""
