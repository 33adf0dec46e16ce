"""Signing in by an account elsewhere: OpenID Connect providers, and Facebook."""
