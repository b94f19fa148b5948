"""`kedge check`: which units are rendered where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from kedge.cli.checking import check

HEAD = "apiVersion: kedge.dev/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec:\n  source: "


@pytest.mark.parametrize(
    "source",
    [
        "{repository: 'https://charts.example.com', chart: web, version: 1.x}",
        "{path: web, others: [{name: values, repository: 'https://git.example.com/v'}]}",
        "{path: web, allow: ['https://charts.example.com']}",
    ],
)
def test_a_unit_that_is_put_together_of_other_sources_is_left_to_the_server(tmp_path: Path, source: str) -> None:
    (tmp_path / ".kedge").mkdir()
    (tmp_path / ".kedge" / "web.yaml").write_text(HEAD + source + "\n")
    found = check(tmp_path, render=False)
    assert found.elsewhere == ("default/web",)
