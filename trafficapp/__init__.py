"""One Faust application that turns a city's raw traffic feeds into exact numbers, live."""
