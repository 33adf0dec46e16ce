"""pixlsrve: a self-hosted photo appliance for a household."""

__version__ = "0.1.0"
