"""The game that all variants are played by; it knows no paper."""
