"""The vocabulary: frozen types that every room speaks. No I/O; imports nothing of ours."""
