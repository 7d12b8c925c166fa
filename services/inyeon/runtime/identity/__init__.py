"""Who is calling: claims, tokens, signed statements."""
