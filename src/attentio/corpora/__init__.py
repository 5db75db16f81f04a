"""Built-in corpora. They are not part of the core."""
