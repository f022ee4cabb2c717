"""A kit: everything for a machine without any network, in one file that can be checked."""
