"""Making a service of the program where no package did: systemd's units on Linux, launchd's job on macOS."""
