"""Tests inside an emulated machine, for what the kernel of the machine at hand may not have (docs/development.md)."""
