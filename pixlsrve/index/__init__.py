"""From files on disk to rows in the index: walk, watch, read, hash, decode."""
