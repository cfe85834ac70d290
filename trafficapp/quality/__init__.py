"""How far cameras and their lanes are to be trusted, judged by their finished windows."""
