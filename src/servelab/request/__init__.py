"""Plain words become a Study: parse, match against values, clarify, confirm."""
