"""A kit made from a project's locks, and a command run from it where no network is."""
