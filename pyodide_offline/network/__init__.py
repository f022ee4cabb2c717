"""The way out: certificates that are trusted, and the one door for downloads."""
