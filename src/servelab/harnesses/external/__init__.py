"""The field's own load generators, driven through their command lines in environments of their own."""
