"""Long random runs, each a command of its own; the suite runs short ones."""
