"""Performance models: coefficients from measurements, and what they predict."""
