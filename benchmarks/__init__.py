"""Benchmarks that anybody can run; see the Makefile."""
