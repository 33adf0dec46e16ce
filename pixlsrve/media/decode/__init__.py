"""Decoding: what a file looks like and what its bytes hash to. Runs in worker processes, never in the daemon."""
