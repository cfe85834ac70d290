"""Incidents over HTTP: reports of citizens, what operators do, emergencies, units, what roads suffer."""
