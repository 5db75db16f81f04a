"""What a trained translator is worth on held-out text: its translations, and the links that its attention draws."""
