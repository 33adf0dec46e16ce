"""The Flutter door: media by multipart form, and the broadcast websocket (specs/flutter-app-backend.md)."""
