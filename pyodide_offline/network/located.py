"""What has a URL, and the parts of it that a connection needs. Pure."""

from urllib.parse import urlsplit


class Located:
    """A base for values with a ``url`` of http or https."""

    url: str

    @property
    def scheme(self) -> str:
        """https or http."""
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        """The host's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port, also where the URL names none."""
        parts = urlsplit(self.url)
        return parts.port or (80 if parts.scheme == "http" else 443)
