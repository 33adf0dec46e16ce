"""The tunnel's rights in a process of their own (THREATS T38): what it does for the service, and how it is asked."""
