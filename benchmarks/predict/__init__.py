"""Predictions against the simulated engine over HTTP, closed form against simulator, and the simulator's speed."""
