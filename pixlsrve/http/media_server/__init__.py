"""The content-addressed door (specs/media-server.md)."""
