"""Views of weather and air."""
