"""A board with 512 MB, emulated: what the service needs of its memory, enforced by a real kernel."""
