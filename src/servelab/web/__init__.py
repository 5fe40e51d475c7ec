"""The browser's face: pages and REST over the same calls that the command line makes. No logic here."""
