"""What is broken, whose fault it is, and what to type: checks as a graph, then a verdict."""
