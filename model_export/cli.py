"""``presort-model``: make and examine the models that sort tickets."""

from __future__ import annotations

import click

from model_export.commands.check import check
from model_export.commands.compare import compare
from model_export.commands.dataset import dataset
from model_export.commands.evaluate import evaluate
from model_export.commands.export import export
from model_export.commands.registry import list_versions, promote, publish, rollback
from model_export.commands.train import train


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="presort")
def main() -> None:
    """Make and examine the models that sort tickets.

    The way of a model: dataset, compare, train (or export, when it is trained already), check, evaluate, publish,
    promote; then rollback and list. `train` alone goes from a file of tickets to a bundle.
    """


for _command in (dataset, compare, train, export, check, evaluate, publish, promote, rollback, list_versions):
    main.add_command(_command)
