"""The site of the documentation (mkdocs.yml): `make lint` builds it; this tests how links are rewritten, and that the
build fails on a page that is wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain.checks import SITE
from toolchain.site_pages import ROOT, linked


@pytest.mark.parametrize(
    ("source", "target", "before", "after"),
    [
        ("README.md", "docs/index.md", "[a](docs/eks.md#b)", "[a](eks.md#b)"),
        ("README.md", "docs/index.md", "[a](LICENSE)", "a"),
        ("docs/systems/x.md", "docs/systems/x.md", "[a](../../docs/eks.md)", "[a](../eks.md)"),
        ("docs/systems/x.md", "docs/systems/x.md", "[a](documents/x.md)", "a"),
        ("docs/eks.md", "docs/eks.md", "[a](../README.md#b)", "[a](index.md#b)"),
        ("docs/eks.md", "docs/eks.md", "[a](https://b.example)", "[a](https://b.example)"),
        ("docs/eks.md", "docs/eks.md", "![a](stack.svg) [b](#c)", "![a](stack.svg) [b](#c)"),
    ],
)
def test_links_work_on_the_site(source: str, target: str, before: str, after: str) -> None:
    assert linked(before, ROOT / source, ROOT / target) == after


@pytest.mark.parametrize(
    ("page", "text", "message"),
    [
        ("docs/eks.md", "[a](nowhere.md)", "'eks.md' contains a link 'nowhere.md'"),
        ("docs/eks.md", "[a](costs.md#nowhere)", "does not contain an anchor '#nowhere'"),
        ("docs/eks.md", "[a](adr)", "contains an unrecognized relative link 'adr'"),
        ("docs/new.md", "# New", "- new.md"),
    ],
)
def test_the_build_of_the_site_fails_on_a_wrong_page(
    tmp_path: Path, page: str, text: str, message: str
) -> None:
    for name in ("mkdocs.yml", "README.md", "toolchain/site_pages.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / page).open("a") as file:
        file.write(f"\n{text}\n")
    command = [sys.executable, "-m", *SITE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("WARNING -")) == (1, 1), done.stderr
    assert message in done.stderr
