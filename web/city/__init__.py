"""Views of a city as a whole."""
