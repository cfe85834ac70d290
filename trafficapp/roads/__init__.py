"""Roads: the graph of a city, travel times on it, routes through it. No Faust, no clients."""
