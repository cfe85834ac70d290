"""Figures that engineers act on, from stored speeds and counts; docs/measures.md has the formulas and sources."""
