"""Checkers for spaces and controllers: what ``nas check`` runs."""
