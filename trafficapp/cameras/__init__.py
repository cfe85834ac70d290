"""The camera registry from files, and the commands ``trafficapp cameras``."""
