"""Where packages come from: npm's configuration, its registry, and verified files."""
