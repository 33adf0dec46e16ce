"""`python -m pixlsrve` and the `pixlsrve` command: calls the command line, nothing else."""

from __future__ import annotations

from pixlsrve.cli.main import main

if __name__ == "__main__":
    main()
