"""What an architecture costs and how good it is."""
