"""What the product does, one module a feature; they return values and print nothing."""
