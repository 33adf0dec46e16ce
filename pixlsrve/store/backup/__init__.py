"""Backups: one archive with what can't be made again, how it is made, read back, put in place, and kept day by day."""
