"""Media on disk and in the library: originals, queries, thumbnails, search."""
