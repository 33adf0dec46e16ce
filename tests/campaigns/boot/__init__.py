"""A Debian that boots with the package inside."""
