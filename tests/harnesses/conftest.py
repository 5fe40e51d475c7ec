"""The stub server, for all tests of this folder."""

from tests.harnesses.test_measure import process, server

__all__ = ["process", "server"]
