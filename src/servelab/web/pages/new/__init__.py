"""The page of a new study, a file for each of its parts."""
