"""The HTTP doors: listeners, the gate, routes, checked inputs, byte ranges, websockets; and the control socket."""
