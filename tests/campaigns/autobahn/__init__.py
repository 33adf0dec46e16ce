"""The Autobahn fuzzing client against the websockets: a test-only echo server, and the script that runs the two."""
