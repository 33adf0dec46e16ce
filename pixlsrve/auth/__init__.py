"""Who is asking: signing keys, tokens, principals."""
