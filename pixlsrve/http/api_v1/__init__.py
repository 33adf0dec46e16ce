"""The main API, /api/v1 (specs/pixlsrve-api-v1.md)."""
