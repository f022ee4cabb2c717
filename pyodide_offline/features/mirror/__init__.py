"""A mirror for a team: each archive fetched once, verified, served by any number of fronts."""
