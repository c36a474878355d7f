"""``presort-model``: make and examine the models that sort tickets."""

from __future__ import annotations

import click

from model_export.commands.check import check
from model_export.commands.dataset import dataset
from model_export.commands.registry import list_versions, promote, publish, rollback
from model_export.commands.train import train


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="presort")
def main() -> None:
    """Make and examine the models that sort tickets."""


for _command in (dataset, train, check, publish, promote, rollback, list_versions):
    main.add_command(_command)
