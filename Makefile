.PHONY: check lock

check:  ## what CI runs: formatting, lint, types, tests
	./check

lock:  ## pin every dependency of pyproject.toml anew, with hashes
	requirements/lock
