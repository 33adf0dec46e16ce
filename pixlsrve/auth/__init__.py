"""Who may come in: accounts, devices, pairing, tokens, sessions, and taking access away."""
