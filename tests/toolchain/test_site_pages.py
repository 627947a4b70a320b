"""The site of the documentation (mkdocs.yml): `make lint` builds it; this tests how links are rewritten."""

import pytest

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
