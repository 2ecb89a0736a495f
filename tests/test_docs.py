"""What the documentation says is there: files, variables, endpoints, commands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from fastapi import FastAPI

from face_service.app import create_app
from face_service.cli import app as cli
from face_service.config import Settings
from face_service.runtime.providers import PROVIDERS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
MAX_README_WORDS = 1400
MAX_DECISION_LINES = 25
DECISION_PARTS = ("Question", "Choice", "Price", "What would change it")
EXAMPLES = {
    "benchmarks/results/CLASS/NAME.md",
    "docs/decisions/NNNN-title.md",
    "findings/NAME.sh",
    "manifest.json",
}
"""Names of files that stand for others, or for a user's."""
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
# `face-service` where a command begins: on a line, in a quote, after a path or a variable.
COMMAND = re.compile(
    r"(?:^\s*|[`(/]|\w=\S+ |uv run )face-service((?: [^\s`)|;&#]+)+)", re.MULTILINE
)


@pytest.fixture
def application() -> Iterator[FastAPI]:
    app = create_app(Settings(_env_file=None))
    yield app
    app.state.service.close()


def table(page: Path, head: str) -> list[list[str]]:
    """The rows of the table whose first column is called `head`, cell by cell."""
    _, _, rest = page.read_text().partition(f"| {head} |")
    assert rest, f"{page} has no table of {head}"
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def anchors(page: Path) -> set[str]:
    """The fragments a page offers: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_finding_has_a_row() -> None:
    findings = ROOT / "findings"
    rows = [cells[0] for cells in table(findings / "README.md", "script")]
    assert rows == sorted(script.stem for script in findings.glob("*.sh"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


def test_the_configuration_table_is_the_settings() -> None:
    rows = {
        row[0].strip("`").lower(): row for row in table(ROOT / "docs/configuration.md", "Variable")
    }
    assert set(rows) == set(Settings.model_fields)
    schema = Settings.model_json_schema()["properties"]
    for name, (_, default, allowed, _) in rows.items():
        field = Settings.model_fields[name]
        if default == "none":
            assert field.default in (None, ()), name
        else:
            given: dict[str, Any] = {name: default.strip("`")}
            assert getattr(Settings(_env_file=None, **given), name) == field.default, name
        bounds = ("minimum", "exclusiveMinimum", "maximum", "multipleOf")
        for bound in (schema[name][key] for key in bounds if key in schema[name]):
            assert re.search(rf"\b{bound:,}\b", allowed), (name, bound)
        assert all(word in allowed for word in schema[name].get("enum", ())), name


def test_the_endpoint_table_is_the_application(application: FastAPI) -> None:
    listed = {row[0].strip("`") for row in table(README, "Endpoint")}
    served = {
        f"{method.upper()} {path}"
        for path, methods in application.openapi()["paths"].items()
        for method in methods
    }
    assert listed == served | {"GET /", "GET /docs", "GET /redoc"}


def test_the_option_table_is_the_schema(application: FastAPI) -> None:
    listed = {row[0].strip("`"): row[1].strip("`") for row in table(ROOT / "docs/api.md", "Option")}
    parameters = application.openapi()["paths"]["/detect"]["post"]["parameters"]
    unsaid = {
        "min_score": "the detector's",
        "max_faces": "all",
        "detail": "the service's",
        "det_size": "the service's",
    }
    defaults = {p["name"]: p["schema"].get("default", unsaid.get(p["name"])) for p in parameters}
    # A number of the schema may be 0 or 0.0, a boolean True.
    assert {name: str(value).lower() for name, value in defaults.items()} == listed


def test_what_was_never_run_on_its_hardware_is_called_experimental() -> None:
    rows = table(ROOT / "docs/accelerators.md", "Hardware")
    marked = {row[3].strip("`"): row[4].startswith("experimental: ") for row in rows}
    assert marked == {name: known.experimental for name, known in PROVIDERS.items()}


def commands() -> list[str]:
    return sorted({found.strip() for page in PAGES for found in COMMAND.findall(page.read_text())})


def test_the_documentation_shows_commands() -> None:
    assert {"serve", "detect", "models"} <= {command.split()[0] for command in commands()}


@pytest.mark.parametrize("command", commands())
def test_every_command_shown_exists(command: str) -> None:
    node: Any = typer.main.get_command(cli)
    words = command.split()
    while words and hasattr(node, "commands") and not words[0].startswith("-"):
        node = node.commands[words.pop(0)]
    options = {option for parameter in node.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options | {"--help"}


def test_the_readme_is_short() -> None:
    """Words as `wc -w` counts them: what does not fit has a page of its own in docs/."""
    assert len(README.read_text().split()) <= MAX_README_WORDS


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_the_form(page: Path) -> None:
    """The decision itself on one screen, then a line `---`, then the evidence."""
    head, rule, evidence = page.read_text().partition("\n---\n")
    assert rule and evidence.strip(), "no evidence behind a line `---`"
    assert len(head.splitlines()) <= MAX_DECISION_LINES
    assert re.match(rf"# {page.stem[:4]} \S", head)
    parts = re.findall(r"^\*\*([^*]+?)\.?\*\*", head, re.MULTILINE)
    assert [part for part in parts if part in DECISION_PARTS] == list(DECISION_PARTS)


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(page.stem[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_are_named_exist(page: str) -> None:
    """Relative to the checkout or, in ARCHITECTURE, to the package."""
    text = (ROOT / page).read_text()
    for name in set(re.findall(r"`([\w./-]+(?:/|\.(?:py|md|sh|toml|json|example)))`", text)):
        assert any((root / name).exists() for root in (ROOT, ROOT / "src/face_service")) or (
            name in EXAMPLES
        ), f"{page} names {name}"


def test_names_in_code_that_architecture_mentions_exist() -> None:
    """Constants, classes and functions in backticks: `AUTO_ORDER`, `FaceEngine`, `load_engine`."""
    code = "".join(
        path.read_text()
        for folder in ("src/face_service", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    )
    named = re.findall(r"`([A-Za-z]\w*)`", (ROOT / "ARCHITECTURE.md").read_text())
    written = [name for name in set(named) if re.search(r"[A-Z_]", name)]
    assert written
    assert [name for name in written if not re.search(rf"\b{name}\b", code)] == []


def test_the_layers_are_those_that_are_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    shown = (ROOT / "ARCHITECTURE.md").read_text().partition("```text\n")[2].partition("```")[0]
    assert shown.splitlines() == [layer.replace("face_service.", "") for layer in layers]
