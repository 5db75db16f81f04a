"""The small world: a grammar that writes sentence pairs with known word links."""
