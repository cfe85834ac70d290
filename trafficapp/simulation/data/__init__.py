"""Demand of the shipped city."""
