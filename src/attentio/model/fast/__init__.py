"""Hand-written products, each proved equal to the plain form."""
