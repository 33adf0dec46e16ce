"""What can be wrong around the daemon, found out by looking: folders, disks, ports, clock, parts."""
