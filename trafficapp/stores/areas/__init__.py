"""Area counters: every reading, and each area as of its newest one."""
