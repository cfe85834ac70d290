"""Incidents: what desks and citizens report, what operators do about them, and what becomes of both."""
