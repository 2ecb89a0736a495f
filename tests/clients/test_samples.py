"""The samples of the documentation, run as they stand there against a real server."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.packs.pack import Pack
from tests.conftest import SHARED
from tests.samples import BLOCK, ROOT
from tests.server import Server

from .workshop import PROJECT, Workshop

RUNTIMES = ("node", "bun")
TSCONFIG = {
    "compilerOptions": {
        "target": "ES2022",
        "module": "NodeNext",
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "types": ["node", "emscripten"],
        "outDir": "out",
        "rewriteRelativeImportExtensions": True,
    },
    "include": ["*.ts"],
}


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """The blocks of a page in one language and what they say they print, in order."""
    return [
        (textwrap.dedent(block["code"]), textwrap.dedent(block["output"] or ""))
        for block in BLOCK.finditer(page.read_text())
        if block["language"] == language
    ]


PART = (20, 10)
"""Where other.jpg, 310 pixels wide and high and then made smaller, lies in frame.jpg."""
CLIENTS = ROOT / "docs" / "clients.md"
MIGRATION = ROOT / "platform" / "migrations" / "001.do.sql"
README = ROOT / "README.md"
SPECIFICATION = SHARED / "spec" / "original.md"
SCRIPTS = [
    (code, output)
    for page in (CLIENTS, PROJECT / "README.md")
    for code, output in blocks(page, "typescript")
    if output
]
"""Whole TypeScript programs, and what they print."""


@pytest.fixture(scope="module")
def address(start_server: Callable[..., Server], starter: Pack) -> str:
    """What the samples call localhost:8100: a server there, or elsewhere if the port is taken. What
    they print is said of the starter pack."""
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", 8100)) == 0
    port = {} if taken else {"PORT": "8100"}
    named = start_server(INSIGHTFACE_MODEL=starter.name, **port)
    named.wait_until_ready()
    return f"localhost:{named.port}"


@pytest.fixture(scope="module")
def photos(solvay: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photo that the samples name; what they print is of its 29 faces."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copy(solvay, folder / "frame.jpg")
    return folder


@pytest.fixture(scope="module")
def few(four_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a photo of that name and few faces, and a part of it."""
    folder = tmp_path_factory.mktemp("few")
    shutil.copy(four_faces, folder / "frame.jpg")
    x, y = PART
    part = cv2.imread(str(four_faces))[y : y + 310, x : x + 310]
    cv2.imwrite(str(folder / "other.jpg"), cv2.resize(part, None, fx=0.9, fy=0.9))
    return folder


def test_python(address: str, photos: Path) -> None:
    """Those of docs/clients.md are run by tests/test_samples.py."""
    ((code, output),) = blocks(ROOT / "clients" / "python" / "README.md", "python")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code.replace("localhost:8100", address)],
        cwd=photos,
        capture_output=True,
        text=True,
    )
    assert (run.stdout, run.stderr) == (output, "")


@pytest.fixture(scope="module")
def installed(workshop: Workshop, address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the packed client installed, and every TypeScript sample compiled.

    The compiler is strict, so that a sample whose types are wrong fails here.
    """
    folder = tmp_path_factory.mktemp("project")
    workshop.do([workshop.npm, "pack", "--pack-destination", str(folder)])
    (archive,) = folder.glob("*.tgz")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    workshop.do([workshop.npm, "install", "--offline", "--no-audit", str(archive)], folder)
    for name in ("@types", "@electric-sql", "undici-types"):
        (folder / "node_modules" / name).symlink_to(PROJECT / "node_modules" / name)

    (stored,) = [code for code, output in blocks(CLIENTS, "typescript") if not output]
    files = {
        **{f"script{number}.ts": code for number, (code, _) in enumerate(SCRIPTS)},
        "stored.ts": stored,
        "uses_stored.ts": USES_STORED,
        "uses_readme.ts": USES_SNIPPET.replace("SNIPPET", snippet(README)),
    }
    if SPECIFICATION.is_file():
        files["uses_original.ts"] = USES_SNIPPET.replace("SNIPPET", snippet(SPECIFICATION))
    for name, code in files.items():
        (folder / name).write_text(code.replace("localhost:8100", address))
    workshop.do([workshop.tool("tsc")], folder)
    return folder


def run(workshop: Workshop, runtime: str, folder: Path, name: str, photos: Path, *args: str) -> str:
    """Run a script: Bun the TypeScript as it stands, Node what the compiler made of it."""
    file = folder / f"{name}.ts" if runtime == "bun" else folder / "out" / f"{name}.js"
    return workshop.do([*workshop.runtimes[runtime], str(file), *args], photos)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_typescript(
    workshop: Workshop, installed: Path, photos: Path, runtime: str, number: int
) -> None:
    _, output = SCRIPTS[number]
    assert run(workshop, runtime, installed, f"script{number}", photos) == output


def snippet(page: Path) -> str:
    """The integration with the backend as a page has it."""
    (found,) = [code for code, _ in blocks(page, "typescript") if "formData" in code]
    assert "formData.append('file', frameBlob, 'frame.jpg')" in found
    assert "fetch('http://localhost:8100/detect'" in found
    return found


USES_SNIPPET = """
import { readFile } from 'node:fs/promises';
const frameBlob = new Blob([await readFile('frame.jpg')]);
SNIPPET
const lengths: number[] = faces.map((face: { embedding: number[] }) => face.embedding.length);
console.log(faces.length, lengths.every((length) => length === 512));
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("page", ["original", "readme"])
def test_the_integration_of_the_first_specification(
    workshop: Workshop, installed: Path, few: Path, runtime: str, page: str
) -> None:
    if page == "original" and not SPECIFICATION.is_file():
        pytest.skip(f"{SPECIFICATION} is not here; README.md has the same snippet")
    assert run(workshop, runtime, installed, f"uses_{page}", few) == "4 true\n"


USES_STORED = """
import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { FaceServiceClient } from 'face-service-client';
import { addReference, whoIs } from './stored.ts';

const client = new FaceServiceClient('http://localhost:8100');
const db = new PGlite({ extensions: { vector } });
await db.exec(await readFile(process.argv[2]!, 'utf8'));
const known = await client.detect(await readFile('frame.jpg'), { crops: true });
const { pack, recogniser, precision, alignment } = known.model;
await db.query(
  `INSERT INTO models (pack, recogniser, precision, alignment, state)
   VALUES ($1, $2, $3, $4, 'current')`,
  [pack, recogniser, precision, alignment],
);
await db.query('SELECT create_space(1)');
for (const [n, face] of known.faces.entries()) {
  await db.query('INSERT INTO creators (name) VALUES ($1)', [`face ${n}`]);
  await addReference(db, 1, n + 1, face);
}
const { faces } = await client.detect(await readFile('other.jpg'));
console.log(JSON.stringify({
  known: known.faces.map(({ bbox }) => bbox),
  bbox: faces[0]!.bbox,
  found: await whoIs(db, 1, faces[0]!, 0.6),
  pictures: (await db.query('SELECT picture FROM creator_references')).rows.length,
}));
"""


def test_faces_are_stored_in_a_real_pgvector_and_found_again(
    workshop: Workshop, installed: Path, few: Path
) -> None:
    """By the functions of the page, in the schema of the platform."""
    told = json.loads(run(workshop, "bun", installed, "uses_stored", few, str(MIGRATION)))
    corner = np.array(told["bbox"][:2]) / 0.9 + PART
    distances = [np.abs(corner - bbox[:2]).max() for bbox in told["known"]]
    ((creator, similarity),) = [row.values() for row in told["found"]]
    assert creator == int(np.argmin(distances)) + 1
    assert 0.6 < similarity <= 1
    assert told["pictures"] == len(told["known"])


def test_the_package_holds_the_client_and_nothing_else(installed: Path) -> None:
    package = installed / "node_modules" / "face-service-client"
    manifest = json.loads((package / "package.json").read_text())
    assert "dependencies" not in manifest
    files = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    code = {file for file in files if re.fullmatch(r"dist/\w+\.(js|d\.ts)", file)}
    assert {"dist/index.js", "dist/index.d.ts"} <= code
    assert files - code == {"package.json", "README.md"}
