"""The dashboard: one page for all rooms, its files, and what it has to know of this installation."""
