"""`pyodide-offline mirror`: what a team fetches, fetched once, from one place."""

import click

from pyodide_offline.cli import mirror_content, mirror_prune, mirror_serve, mirror_trust
from pyodide_offline.cli.group import Group

_EPILOG = """\b
Examples:
  pyodide-offline mirror serve
  pyodide-offline mirror serve --store s3://bucket/mirror --listen 127.0.0.1:8417
  pyodide-offline mirror serve --offline --store /srv/mirror
"""


@click.group(cls=Group, epilog=_EPILOG)
def mirror() -> None:
    """A mirror of packages and bundles for a team: each fetched once, verified, served by any."""


mirror.add_command(mirror_serve.serve)
mirror.add_command(mirror_content.sync)
mirror.add_command(mirror_content.import_)
mirror.add_command(mirror_content.export)
mirror.add_command(mirror_trust.token)
mirror.add_command(mirror_trust.accept)
mirror.add_command(mirror_trust.audit)
mirror.add_command(mirror_prune.prune)
