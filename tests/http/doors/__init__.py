"""Doors for people without an account."""
