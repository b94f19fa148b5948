"""Secrets of the store are for whom the project says."""

from __future__ import annotations

import pytest

from kedge.engine.trust import secrets_problem
from kedge.model.declaration import ApplicationSpec, Project
from kedge.model.errors import Where
from kedge.model.rendering import SubstituteSection

SPEC = ApplicationSpec(substitute=SubstituteSection(secrets={"pw": "shop-db"}))


@pytest.mark.parametrize(("globs", "may"), [((), False), (("shop-*",), True), (("shop",), False), (("a", "*"), True)])
def test_a_unit_may_use_the_secrets_that_its_project_names(globs: tuple[str, ...], may: bool) -> None:
    problem = secrets_problem(Project("shop", secrets=globs), SPEC, Where("a.yaml"))
    assert (problem is None) is may


def test_a_secret_that_is_not_for_the_project_says_who_can_give_it() -> None:
    problem = secrets_problem(Project("shop"), SPEC, Where("a.yaml", 3))
    assert problem is not None
    assert str(problem.where) == "a.yaml, line 3, spec.substitute.secrets"
    assert problem.text == "project shop may not use the secret shop-db"
    assert "kind: Project, name: shop" in problem.hint


def test_a_unit_without_secrets_needs_nothing() -> None:
    assert secrets_problem(Project("shop"), ApplicationSpec(substitute=SubstituteSection({"a": 1})), Where()) is None
