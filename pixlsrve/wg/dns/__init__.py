"""The tunnel's resolver: DNS for the devices in the tunnel, on the host's own address there (DESIGN section 6)."""
