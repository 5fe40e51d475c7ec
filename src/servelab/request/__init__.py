"""Plain words become a Study: parse, match against values, clarify, confirm. Nothing here does I/O but what it is told."""
