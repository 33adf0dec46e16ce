"""HTTPS: the host's own certificate authority, its certificate, and keeping both up to date."""
