"""The ``presort`` command."""

from __future__ import annotations

import click


@click.group()
@click.version_option(package_name="presort")
def main() -> None:
    """Presort: tickets sorted before an agent opens them."""
