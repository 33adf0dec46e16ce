"""The WireGuard tunnel: keys, addresses, peers."""
