"""What the household's router is asked for when the owner wants that: to let the tunnel's port in."""
