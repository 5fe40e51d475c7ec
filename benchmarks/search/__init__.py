"""Samplers side by side on a response surface with known truth."""
