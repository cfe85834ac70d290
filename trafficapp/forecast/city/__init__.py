"""All roads of the city: state from the log, rounds of predictions, notifications."""
