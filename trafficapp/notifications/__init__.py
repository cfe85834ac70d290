"""When a road raises a notification, and when it may do so again: a pure function of what is measured and predicted."""
