"""What administrators set for the whole city; the rules, without a server."""
