"""Personal data: ids that say nothing, where what is known of somebody stands, how it is found and erased."""
