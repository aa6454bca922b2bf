"""The wires that clients speak, and the HTTP that all of them share."""
