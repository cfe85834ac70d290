"""How vehicles of all feeds move: distances on the earth, and whether one can have moved as it says."""
