"""``presort-model publish``, ``promote``, ``rollback``, ``list``: the registry, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from model_export import registry
from model_export.bundle.channels import Channels, RegistryError
from model_export.bundle.manifest import BundleError

URL = click.option(
    "--registry",
    "url",
    envvar="PRESORT_REGISTRY",
    required=True,
    help="Where bundles live: a folder, s3://, gs://, abfs://. Or PRESORT_REGISTRY in the environment.",
)


@click.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
@URL
def publish(bundle: Path, url: str) -> None:
    """Copy BUNDLE into the registry and stage it; what serves stays as it is.

    Example: presort-model publish var/bundle --registry s3://bucket/models
    """
    with _said():
        manifest = registry.publish(url, bundle)
    click.echo(f"{manifest.name}@{manifest.version} is published and staged.")
    click.echo(f"Next: presort-model promote {manifest.name} --registry {url}")


@click.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--force", is_flag=True, help="Promote in spite of the figures.")
@URL
def promote(name: str, version: str | None, url: str, *, force: bool) -> None:
    """Make the staged VERSION of NAME active; workers follow within about 30 s.

    Refused when it is worse than the active one on the same test rows, as a whole or for a class.

    Example: presort-model promote category --registry s3://bucket/models
    """
    with _said():
        _show(name, registry.promote(url, name, version, force=force))
    click.echo(f"If it does worse on live tickets: presort-model rollback {name} --registry {url}")


@click.command()
@click.argument("name")
@URL
def rollback(name: str, url: str) -> None:
    """Make the previous version of NAME active again.

    Example: presort-model rollback category --registry s3://bucket/models
    """
    with _said():
        _show(name, registry.rollback(url, name))
    click.echo(f"Next: presort-model list {name} --registry {url}")


@click.command("list")
@click.argument("name")
@URL
def list_versions(name: str, url: str) -> None:
    """List the published versions of NAME, oldest first.

    Example: presort-model list category --registry s3://bucket/models
    """
    with _said():
        found = registry.versions(url, name)
    width = max((len(one.manifest.version) for one in found), default=0)
    for manifest, channels in found:
        score = manifest.metrics.get("macro_f1")
        figure = "" if score is None else f"macro-F1 {score:.3f}"
        click.echo(f"{manifest.version:{width}}  {manifest.created}  {figure:15}  {', '.join(channels)}".rstrip())
    if any("staged" in channels for _, channels in found):
        click.echo(f"Next: presort-model promote {name} --registry {url}")


def _show(name: str, channels: Channels) -> None:
    click.echo(f"{name}: active {channels.active}, previous {channels.previous or 'none'}")


@contextmanager
def _said() -> Iterator[None]:
    """An error as one line and exit status 1."""
    try:
        yield
    except (RegistryError, BundleError) as error:
        raise click.ClickException(str(error)) from error
