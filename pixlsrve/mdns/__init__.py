"""Being found on the LAN: what is announced, on which interfaces, and by whom."""
