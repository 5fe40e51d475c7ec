"""REST under /api/v1, a file for each thing."""
