"""Renders tables, pictures, pages and cards from records, without PyTorch."""
