"""Bundles published, promoted, rolled back and fetched: on a folder and on S3 (moto's server)."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import fsspec
import msgspec
import pytest

from model_export import atomic, registry
from model_export.bundle.channels import Channels, RegistryError, locate, read_channels
from model_export.bundle.fetch import Fetched, fetch
from model_export.bundle.manifest import BundleError, describe_files, read_manifest, write_manifest
from model_export.evidence import METRICS, ClassScore, Evidence, noise, objections

BUNDLE = Path("demo/bundle")
GOOD = Evidence(
    test_fingerprint="rows-of-may",
    macro_f1=0.9,
    per_class={"refund_request": ClassScore(0.9, 100), "delivery_delay": ClassScore(0.9, 400)},
)


def bundle(folder: Path, version: str, evidence: Evidence | None = GOOD) -> Path:
    """The demo's model under another version."""
    made = folder / version
    shutil.copytree(BUNDLE, made)
    if evidence is not None:
        (made / METRICS).parent.mkdir(exist_ok=True)
        (made / METRICS).write_bytes(msgspec.json.encode(evidence))
    manifest = msgspec.structs.replace(read_manifest(BUNDLE), version=version, files=describe_files(made))
    write_manifest(made, manifest)
    return made


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of a bucket on a real HTTP server that answers as S3 does, conditional puts included."""
    server = pytest.importorskip("moto.server", reason="pip install 'moto[server]'")
    pytest.importorskip("s3fs", reason="pip install s3fs")
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("presort-models")
        yield "s3://presort-models"
    running.stop()


@pytest.fixture(params=["folder", "file URL", "S3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty registry."""
    if request.param == "S3":
        return f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"
    return str(tmp_path / "registry") if request.param == "folder" else (tmp_path / "registry").as_uri()


@pytest.fixture
def folder_url(tmp_path: Path) -> str:
    return str(tmp_path / "registry")


def held(fetched: Fetched) -> Path:
    """Let go of a fetched bundle."""
    fetched.lease.close()
    return fetched.folder


# Publishing


def test_from_published_to_promoted_to_rolled_back(url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "1"))
    assert read_channels(url, "demo") == Channels(staged="1", generation=1)
    registry.promote(url, "demo")
    registry.publish(url, bundle(tmp_path, "2"))
    assert read_channels(url, "demo") == Channels(staged="2", active="1", generation=3)
    registry.promote(url, "demo")
    assert read_channels(url, "demo") == Channels(active="2", previous="1", generation=4)
    registry.rollback(url, "demo")
    assert read_channels(url, "demo") == Channels(active="1", previous="2", generation=5)
    assert [(one.manifest.version, one.channels) for one in registry.versions(url, "demo")] == [
        ("1", ("active",)),
        ("2", ("previous",)),
    ]


def test_a_version_is_never_changed(url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "1"))
    with pytest.raises(RegistryError, match="demo@1 is published already") as caught:
        registry.publish(url, bundle(tmp_path / "other", "1", None))
    assert caught.value.permanent
    assert METRICS in read_manifest(held(fetch(url, "demo", "1", tmp_path / "cache"))).files


def test_a_broken_bundle_is_not_published(url: str, tmp_path: Path) -> None:
    broken = bundle(tmp_path, "1")
    (broken / "model.int8.onnx").write_bytes(b"not the file that was hashed")
    with pytest.raises(BundleError, match="SHA-256 differs"):
        registry.publish(url, broken)
    with pytest.raises(RegistryError, match="check the URL"):
        read_channels(url, "demo")


def test_figures_that_cannot_be_read_are_found_at_publication(folder_url: str, tmp_path: Path) -> None:
    made = bundle(tmp_path, "1")
    (made / METRICS).write_text('{"macro_f1": "good"}', encoding="utf-8")
    write_manifest(made, msgspec.structs.replace(read_manifest(BUNDLE), version="1", files=describe_files(made)))
    with pytest.raises(RegistryError, match=r"report/metrics\.json of demo@1 cannot be compared"):
        registry.publish(folder_url, made)


def test_an_interrupted_publication_is_taken_up_again(s3: str, tmp_path: Path) -> None:
    """Without its manifest a version does not exist, and what was uploaded already is the same."""
    url, made = f"{s3}/{uuid.uuid4().hex}", bundle(tmp_path, "1")
    remote = locate(url, "demo")
    remote.fs.put_file(str(made / "tokenizer.json"), f"{remote.path}/1/tokenizer.json")
    registry.publish(url, made)
    assert held(fetch(url, "demo", "staged", tmp_path / "cache")).name == "1"


def test_files_of_two_publishers_never_mix(s3: str, tmp_path: Path) -> None:
    url, made = f"{s3}/{uuid.uuid4().hex}", bundle(tmp_path, "1")
    remote = locate(url, "demo")
    remote.fs.pipe_file(f"{remote.path}/1/tokenizer.json", b"another publisher's")
    with pytest.raises(RegistryError, match=r"1/tokenizer\.json is another bundle's"):
        registry.publish(url, made)


def test_one_of_two_publishers_of_a_version_wins(url: str, tmp_path: Path) -> None:
    made = bundle(tmp_path, "1")
    with ThreadPoolExecutor(4) as pool:
        errors = [future.exception() for future in [pool.submit(registry.publish, url, made) for _ in range(4)]]
    assert errors.count(None) == 1
    assert all("published already" in str(error) for error in errors if error)
    assert read_channels(url, "demo").staged == "1"


def test_publishers_of_different_versions_both_succeed(url: str, tmp_path: Path) -> None:
    made = [bundle(tmp_path, version) for version in ("1", "2", "3")]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda one: registry.publish(url, one), made))
    assert len(registry.versions(url, "demo")) == 3
    assert read_channels(url, "demo").generation == 3


# Promotion


def test_one_of_two_promoters_wins_and_the_other_is_told(url: str, tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        registry.publish(url, bundle(tmp_path, version))
    registry.promote(url, "demo", "1")
    remote = locate(url, "demo")

    def overtaken(channels: Channels) -> Channels:
        """Between this promoter's reading and writing another one promotes 3."""
        registry.promote(url, "demo", "3")
        return msgspec.structs.replace(channels, active="2", previous="1")

    with pytest.raises(RegistryError, match="changed while this was under way") as caught:
        atomic.change(remote, overtaken)
    assert not caught.value.permanent
    assert read_channels(url, "demo") == Channels(active="3", previous="1", generation=5)


def test_on_s3_the_store_itself_refuses_who_comes_second(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However close the two are: the other one's write lies between this one's last look and its put."""
    url = f"{s3}/{uuid.uuid4().hex}"
    for version in ("1", "2", "3"):
        registry.publish(url, bundle(tmp_path, version))
    fs = locate(url, "demo").fs
    put = fs.pipe_file

    def late(path: str, raw: bytes, **condition: str) -> None:
        monkeypatch.undo()
        registry.promote(url, "demo", "3")
        put(path, raw, **condition)

    monkeypatch.setattr(fs, "pipe_file", late)
    with pytest.raises(RegistryError, match="changed while this was under way"):
        registry.promote(url, "demo", "2")
    assert read_channels(url, "demo").active == "3"


def test_on_s3_a_put_whose_answer_was_lost_counts(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver sends it again, and the store refuses the second one because of the first."""
    url = f"{s3}/{uuid.uuid4().hex}"
    registry.publish(url, bundle(tmp_path, "1"))
    fs = locate(url, "demo").fs
    put = fs.pipe_file

    def again(path: str, raw: bytes, **condition: str) -> None:
        put(path, raw, **condition)
        put(path, raw, **condition)

    monkeypatch.setattr(fs, "pipe_file", again)
    assert registry.promote(url, "demo") == read_channels(url, "demo") == Channels(active="1", generation=2)


def test_a_race_of_promoters_has_one_winner(url: str, tmp_path: Path) -> None:
    """Each of them read the same; whoever writes first wins, whatever the timing."""
    names = [str(number) for number in range(4)]
    for version in names:
        registry.publish(url, bundle(tmp_path, version))
    before = read_channels(url, "demo").generation
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(registry.promote, url, "demo", version) for version in names]
        errors = [future.exception() for future in done]
    channels = read_channels(url, "demo")
    assert channels.generation == before + errors.count(None)
    assert errors[names.index(channels.active or "")] is None
    assert all(isinstance(error, RegistryError) and not error.permanent for error in errors if error)


def test_a_worse_model_is_refused_unless_forced(url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "1"))
    registry.promote(url, "demo")
    worse = msgspec.structs.replace(GOOD, per_class={**GOOD.per_class, "refund_request": ClassScore(0.5, 100)})
    registry.publish(url, bundle(tmp_path, "2", worse))
    with pytest.raises(RegistryError, match=r"demo@2 is not promoted over 1: refund_request has F1 0\.500") as caught:
        registry.promote(url, "demo")
    assert caught.value.permanent
    assert read_channels(url, "demo").active == "1"
    assert registry.promote(url, "demo", force=True).active == "2"


@pytest.mark.parametrize("without", ["1", "2"])
def test_figures_without_their_rows_do_not_compare(folder_url: str, tmp_path: Path, without: str) -> None:
    """A number in the manifest does not say what it was measured on."""
    for version in ("1", "2"):
        registry.publish(folder_url, bundle(tmp_path, version, None if version == without else GOOD))
    registry.promote(folder_url, "demo", "1")
    with pytest.raises(RegistryError, match=rf"{without} came without report/metrics\.json.*says 0\.976"):
        registry.promote(folder_url, "demo", "2")
    assert registry.promote(folder_url, "demo", "2", force=True).active == "2"


def test_what_cannot_be_promoted_says_why(folder_url: str, tmp_path: Path) -> None:
    registry.publish(folder_url, bundle(tmp_path, "1"))
    with pytest.raises(RegistryError, match="no previous version"):
        registry.rollback(folder_url, "demo")
    registry.promote(folder_url, "demo")
    with pytest.raises(RegistryError, match="no version of demo is staged"):
        registry.promote(folder_url, "demo")
    with pytest.raises(RegistryError, match="demo@1 is active already"):
        registry.promote(folder_url, "demo", "1")
    with pytest.raises(RegistryError, match=r"has no .*2/manifest\.json"):
        registry.promote(folder_url, "demo", "2")
    with pytest.raises(RegistryError, match="cannot be a model's name or version"):
        registry.promote(folder_url, "demo", "../1")


def scored(macro_f1: float = 0.9, refund: float = 0.9, fingerprint: str = "rows-of-may") -> Evidence:
    classes = {**GOOD.per_class, "refund_request": ClassScore(refund, 100)}
    return Evidence(test_fingerprint=fingerprint, macro_f1=macro_f1, per_class=classes)


@pytest.mark.parametrize(
    ("staged", "said"),
    [
        (scored(), None),
        (scored(macro_f1=0.95, refund=0.95), None),
        (scored(macro_f1=0.896), None),
        (scored(macro_f1=0.894), "macro-F1 is 0.894 where it was 0.900"),
        (scored(refund=0.88), None),
        (scored(macro_f1=0.95, refund=0.85), "refund_request has F1 0.850 where it had 0.900"),
        (scored(macro_f1=0.95, fingerprint="rows-of-june"), "different test rows"),
        (msgspec.structs.replace(GOOD, per_class={"refund_request": ClassScore(1, 100)}), "delivery_delay is not"),
    ],
)
def test_what_counts_as_worse(staged: Evidence, said: str | None) -> None:
    found = objections(staged, GOOD)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_chance_has_more_room_in_small_classes() -> None:
    """One of ten rows may be lost by chance, two of them may not; of a thousand about one in a hundred."""
    assert 0.05 < noise(ClassScore(1.0, 10)) < 0.1
    assert 0.008 < noise(ClassScore(0.9, 1000)) < 0.012


# Fetching


def test_a_fetched_bundle_is_the_published_one(url: str, tmp_path: Path) -> None:
    made = bundle(tmp_path, "1")
    registry.publish(url, made)
    fetched = fetch(url, "demo", "staged", tmp_path / "cache")
    assert read_manifest(fetched.folder) == read_manifest(made)
    assert fetch(url, "demo", "1", tmp_path / "cache").folder == fetched.folder


def test_what_is_published_broken_is_not_taken(url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "1"))
    remote = locate(url, "demo")
    remote.fs.pipe_file(f"{remote.path}/1/model.int8.onnx", b"altered")
    with pytest.raises(BundleError, match="SHA-256 differs"):
        fetch(url, "demo", "1", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.onnx"))


def test_a_manifest_cannot_lead_out_of_the_cache(folder_url: str, tmp_path: Path) -> None:
    registry.publish(folder_url, bundle(tmp_path, "1"))
    manifest = tmp_path / "registry" / "demo" / "1" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"golden.npz"', b'"../../../golden.npz"'))
    with pytest.raises(BundleError, match="points outside the bundle"):
        fetch(folder_url, "demo", "1", tmp_path / "cache")


def test_a_damaged_copy_is_fetched_again(folder_url: str, tmp_path: Path) -> None:
    registry.publish(folder_url, bundle(tmp_path, "1"))
    copy = held(fetch(folder_url, "demo", "1", tmp_path / "cache"))
    (copy / "model.int8.onnx").write_bytes(b"half a block")
    assert read_manifest(held(fetch(folder_url, "demo", "1", tmp_path / "cache"))).version == "1"


def test_a_worker_killed_between_download_and_rename_leaves_nothing_to_serve(folder_url: str, tmp_path: Path) -> None:
    registry.publish(folder_url, bundle(tmp_path, "1"))
    killed = f"""
import os, pathlib, signal
pathlib.Path.rename = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
from model_export.bundle.fetch import fetch
fetch({folder_url!r}, "demo", "1", pathlib.Path({str(tmp_path / "cache")!r}))
"""
    done = subprocess.run([sys.executable, "-c", killed], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (home,) = (tmp_path / "cache").iterdir()
    assert (home / ".1.partial" / "manifest.json").exists()
    assert not (home / "1").exists()
    assert held(fetch(folder_url, "demo", "1", tmp_path / "cache")) == home / "1"
    assert not (home / ".1.partial").exists()


def test_workers_that_fetch_at_once_share_one_download(url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "1"))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: fetch(url, "demo", "staged", tmp_path / "cache"), range(6)))
    assert len({(one.folder, (one.folder / "manifest.json").stat().st_ino) for one in found}) == 1


def test_old_versions_go_but_never_one_in_use(folder_url: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for version in ("1", "2", "3", "4", "5"):
        registry.publish(folder_url, bundle(tmp_path, version))
        registry.promote(folder_url, "demo")
    first = fetch(folder_url, "demo", "1", cache)
    held(fetch(folder_url, "demo", "2", cache))
    held(fetch(folder_url, "demo", "active", cache))
    assert sorted(path.name for path in first.folder.parent.iterdir() if path.is_dir()) == ["1", "5"]
    held(first)
    held(fetch(folder_url, "demo", "previous", cache))
    assert sorted(path.name for path in first.folder.parent.iterdir() if path.is_dir()) == ["4", "5"]


def test_registries_do_not_mix_in_one_cache(tmp_path: Path) -> None:
    for name, evidence in (("here", None), ("there", GOOD)):
        registry.publish(str(tmp_path / name), bundle(tmp_path / f"of-{name}", "1", evidence))
    here, there = (fetch(str(tmp_path / name), "demo", "1", tmp_path / "cache") for name in ("here", "there"))
    assert METRICS not in read_manifest(here.folder).files
    assert METRICS in read_manifest(there.folder).files


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses longer files, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_room_the_error_is_temporary_and_nothing_is_left(url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "1"))
    with files_of_at_most(1_000_000), pytest.raises(RegistryError, match="no room for a bundle") as caught:
        fetch(url, "demo", "1", tmp_path / "cache")
    assert not caught.value.permanent
    assert not list((tmp_path / "cache").rglob("*.onnx"))
    assert held(fetch(url, "demo", "1", tmp_path / "cache")).name == "1"


def test_a_cache_that_cannot_be_written_is_named(folder_url: str, tmp_path: Path) -> None:
    registry.publish(folder_url, bundle(tmp_path, "1"))
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(RegistryError, match="set `cache` to a folder that can") as caught:
        fetch(folder_url, "demo", "1", tmp_path / "cache")
    assert caught.value.permanent


# A registry out of reach


def test_while_the_registry_is_away_the_cached_version_serves(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{s3}/{uuid.uuid4().hex}"
    registry.publish(url, bundle(tmp_path, "1"))
    registry.promote(url, "demo")
    held(fetch(url, "demo", "active", tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        assert held(fetch(url, "demo", "active", tmp_path / "cache")).name == "1"
        with pytest.raises(RegistryError, match="cannot be reached now") as caught:
            fetch(url, "demo", "active", tmp_path / "empty")
        assert not caught.value.permanent
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_wrong_url_is_a_permanent_error(url: str, tmp_path: Path) -> None:
    for wrong, said in ((f"{url}/elsewhere", "check the URL"), ("nonsense://x", "cannot be opened")):
        with pytest.raises(RegistryError, match=said) as caught:
            fetch(wrong, "demo", "active", tmp_path / "cache")
        assert caught.value.permanent


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b'{"active": "../../etc"}', b'{"active": 3}'])
def test_a_channels_file_of_another_form_is_refused(folder_url: str, tmp_path: Path, raw: bytes) -> None:
    registry.publish(folder_url, bundle(tmp_path, "1"))
    (tmp_path / "registry" / "demo" / "channels.json").write_bytes(raw)
    with pytest.raises(RegistryError) as caught:
        read_channels(folder_url, "demo")
    assert caught.value.permanent
