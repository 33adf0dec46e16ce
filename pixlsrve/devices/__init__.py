"""Devices that have files of their own: where they are, what they have, and bringing it here."""
