"""The recording that ships with the project, and the script that cut it."""
