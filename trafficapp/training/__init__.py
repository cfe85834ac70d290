"""Training as people and the schedule start it: where histories come from, the command, what is left on a disk."""
