"""The WireGuard tunnel: keys, addresses, peers, the interface, its rules and names, and the way in from outside."""
