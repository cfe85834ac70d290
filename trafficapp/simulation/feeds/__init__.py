"""The other feeds of the simulated city: buses, riders, cars, incidents, weather, counters and cameras of squares."""
