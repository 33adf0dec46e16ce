"""`pixlsrve agent`: the mini-server on a device, which shows the host its files and sends what the host asks for."""
