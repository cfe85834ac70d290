"""Area counters: how many vehicles stand in an area, as its counter says."""
