"""What a city's system does for itself by the clock: training every week, a backup every night."""
