"""The ``presort app`` command."""

from __future__ import annotations

from pathlib import Path

import click

from integration import settings
from integration.agent_api.packing import PackError, files, pack


@click.command("app")
@click.option(
    "--out", default="presort-agent-app.zip", show_default=True, type=click.Path(dir_okay=False, path_type=Path)
)
@click.option("--url", help="Where Zendesk reaches `presort console`; console.public_url in presort.toml unless given.")
def agent_app(out: Path, url: str | None) -> None:
    """Pack the agents' sidebar app into a zip to upload in Zendesk.

    Example: presort app --url https://presort-console.acme.com --out presort-agent-app.zip
    """
    try:
        url = url or settings.load().console.public_url
        if url is None:
            raise click.UsageError("give --url, or public_url under [console] in presort.toml: the app asks there")
        found = files(url)
        pack(found, out)
    except (settings.SettingsError, PackError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {len(found)} files, {out.stat().st_size / 1000:.1f} KB, for {url}")
    click.echo(
        "Upload it in Admin Center > Apps and integrations > Zendesk Support apps > Upload private app, with the value "
        "of PRESORT_AGENT_SECRETS as its shared secret."
    )
