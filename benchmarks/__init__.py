"""Figures: what this product costs and what it gains, against a named peer."""
