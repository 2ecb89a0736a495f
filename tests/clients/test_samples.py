"""The samples of the documentation, run as they stand there against a real server."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from tests.conftest import SHARED
from tests.server import Server

from .workshop import PROJECT, Workshop

ROOT = PROJECT.parent.parent
PAGES = ("docs/clients.md", "clients/python/README.md", "clients/typescript/README.md")
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


@dataclass(frozen=True)
class Sample:
    """A block of a page, and what stands in the block of text right after it."""

    page: str
    language: str
    code: str
    output: str | None

    def __str__(self) -> str:
        return f"{self.page} {self.code.count(chr(10))} lines"


def samples(page: str, language: str) -> list[Sample]:
    """The blocks of a page in one language, in order."""
    block = re.compile(
        rf"^```{language}\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
    )
    text = (ROOT / page).read_text()
    return [Sample(page, language, code, output or None) for code, output in block.findall(text)]


def printing(language: str) -> list[Sample]:
    """The samples that show what they print: whole scripts."""
    return [one for page in PAGES for one in samples(page, language) if one.output]


def original() -> str:
    """The integration snippet of the first specification, or README's where it is not here."""
    specification = SHARED / "spec" / "original.md"
    page = specification if specification.is_file() else ROOT / "README.md"
    found = re.search(r"^ *```typescript\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found and "formData.append('file', frameBlob, 'frame.jpg')" in found[1]
    return found[1]


@pytest.fixture(scope="module")
def address(start_server: Callable[..., Server], server: Server) -> Iterator[str]:
    """What the samples call localhost:8100: a server there, or elsewhere if the port is taken."""
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", 8100)) == 0
    if taken:
        yield f"localhost:{server.port}"
        return
    named = start_server(PORT="8100", DRAIN_GRACE_S="0")
    named.wait_until_ready()
    yield "localhost:8100"
    named.stop()


@pytest.fixture(scope="module")
def photos(solvay: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos the samples name."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copy(solvay, folder / "frame.jpg")
    image = cv2.imread(str(solvay))
    cv2.imwrite(str(folder / "other.jpg"), cv2.resize(image, None, fx=0.75, fy=0.75))
    return folder


@pytest.mark.parametrize("sample", printing("python"), ids=str)
def test_python(sample: Sample, address: str, photos: Path) -> None:
    code = sample.code.replace("localhost:8100", address)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=photos, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == sample.output


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

    files = {f"sample{n}.ts": one.code for n, one in enumerate(printing("typescript"))}
    (backend,) = samples("docs/backend.md", "typescript")
    files["backend.ts"] = f"{backend.code}export {{ detect }};\n"
    (stored,) = [one for one in samples("docs/clients.md", "typescript") if not one.output]
    files["stored.ts"] = stored.code
    files["uses_backend.ts"] = USES_BACKEND
    files["uses_stored.ts"] = USES_STORED
    files["uses_original.ts"] = USES_ORIGINAL.replace("SNIPPET", original())
    for name, code in files.items():
        (folder / name).write_text(code.replace("localhost:8100", address))
    workshop.do([workshop.tool("tsc")], folder)
    return folder


def run(workshop: Workshop, runtime: str, folder: Path, name: str, photos: Path, *args: str) -> str:
    """Run a script: Bun the TypeScript as it stands, Node what the compiler made of it."""
    file = folder / f"{name}.ts" if runtime == "bun" else folder / "out" / f"{name}.js"
    return workshop.do([*workshop.runtimes[runtime], str(file), *args], photos)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("number", range(len(printing("typescript"))))
def test_typescript(
    workshop: Workshop, installed: Path, photos: Path, runtime: str, number: int
) -> None:
    printed = run(workshop, runtime, installed, f"sample{number}", photos)
    assert printed == printing("typescript")[number].output


USES_ORIGINAL = """
import { readFile } from 'node:fs/promises';
const frameBlob = new Blob([await readFile('frame.jpg')]);
SNIPPET
const lengths: number[] = faces.map((face: { embedding: number[] }) => face.embedding.length);
console.log(faces.length, lengths.every((length) => length === 512));
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_integration_of_the_first_specification(
    workshop: Workshop, installed: Path, photos: Path, runtime: str
) -> None:
    assert run(workshop, runtime, installed, "uses_original", photos) == "29 true\n"


USES_BACKEND = """
import { readFile } from 'node:fs/promises';
import { detect } from './backend.ts';
const frame = await detect(new Blob([await readFile('frame.jpg')]));
const spoilt = await detect(new Blob(['no image']));
console.log(frame.length, frame[0]?.embedding?.length, spoilt.length);
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_function_of_the_backends_page(
    workshop: Workshop, installed: Path, photos: Path, runtime: str
) -> None:
    assert run(workshop, runtime, installed, "uses_backend", photos) == "29 512 0\n"


USES_STORED = """
import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { FaceServiceClient } from 'face-service-client';
import { store, whoIs } from './stored.ts';

const [tables, exact, indexed] = JSON.parse(process.argv[2]!) as [string, string, string];
const client = new FaceServiceClient('http://localhost:8100');
const db = new PGlite({ extensions: { vector } });
await db.exec(tables);
await store(db, 7, await client.detect(await readFile('frame.jpg'), { max_faces: 1 }));
const [face] = (await client.detect(await readFile('other.jpg'), { max_faces: 1 })).faces;
const vectorOf = (embedding: Float32Array) => JSON.stringify([...embedding]);
console.log(JSON.stringify({
  whoIs: await whoIs(db, face!, 0.275),
  exact: (await db.query(exact, [vectorOf(face!.embedding!)])).rows,
  indexed: (await db.query(indexed, [vectorOf(face!.embedding!)])).rows,
  model: (await db.query('SELECT model FROM creator_face_embeddings')).rows,
}));
"""


def test_the_statements_of_the_documentation_on_a_real_pgvector(
    workshop: Workshop, installed: Path, photos: Path
) -> None:
    statements = [one.code for one in samples("docs/backend.md", "sql")]
    assert len(statements) == 3
    argument = json.dumps(statements)
    found = json.loads(run(workshop, "bun", installed, "uses_stored", photos, argument))
    assert found["model"][0]["model"]["pack"] == "starter"
    for rows in (found["whoIs"], found["exact"], found["indexed"]):
        assert [row["creator_id"] for row in rows] == [7]
        assert 0.9 < rows[0]["similarity"] <= 1


def test_the_package_holds_the_client_and_nothing_else(installed: Path) -> None:
    package = installed / "node_modules" / "face-service-client"
    manifest = json.loads((package / "package.json").read_text())
    assert "dependencies" not in manifest
    files = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    code = {file for file in files if re.fullmatch(r"dist/\w+\.(js|d\.ts)", file)}
    assert {"dist/index.js", "dist/index.d.ts"} <= code
    assert files - code == {"package.json", "README.md"}
