"""SQLite: connections, migrations, and every SQL statement of the program."""
