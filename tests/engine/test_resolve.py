"""Declarations become units: defaults, environments, references, and what a root and a project allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kedge.engine.resolve import Resolved, Trust, resolve
from kedge.model.declaration import (
    AllowedTarget,
    Application,
    ApplicationSpec,
    ApproveSection,
    Cluster,
    Credential,
    Declaration,
    Heal,
    HelmSection,
    InputSection,
    OnRemove,
    OtherSource,
    Project,
    Root,
    SecretFrom,
    SourceSection,
    Stack,
    StackCredentialsSection,
    StackHeal,
    StackRemoval,
    StackSpec,
    StackSyncSection,
    TargetSection,
    ToolSection,
    ValueType,
    When,
)
from kedge.model.errors import Where
from kedge.model.execution import Tool
from kedge.model.origin import parts_of
from kedge.model.ref import UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import KindRules

ADMIN = Root("admin", "https://git.example.com/fleet", "main")
TEAM = Root("team", "https://git.example.com/team", "main", projects=("shop",))
SHOP = Project("shop")


def app(name: str = "web", project: str = "shop", line: int = 1, **spec: Any) -> Application:
    return Application(name, project, spec=ApplicationSpec(**spec), where=Where("a.yaml", line, 1))


def resolved(*declarations: Declaration, admin: bool = True, projects: tuple[Project, ...] = (SHOP,), **more: Any):
    trust = Trust(ADMIN if admin else TEAM, admin, projects, **more)
    return resolve(trust, declarations)


def one(found: Resolved) -> Any:
    assert [str(problem) for problem in found.problems] == []
    (unit,) = found.units
    return unit


def told(found: Resolved) -> str:
    return "\n".join(map(str, found.problems))


class TestDefaults:
    def test_repository_and_ref_are_those_of_the_root(self) -> None:
        unit = one(resolved(app(source=SourceSection("./apps//web/"))))
        assert unit.source == SourceSpec("https://git.example.com/fleet", "main", "apps/web")
        assert (unit.name, unit.root) == (UnitName("shop", "web"), "admin")

    def test_another_repository_is_followed_at_its_default_branch(self) -> None:
        unit = one(resolved(app(source=SourceSection(repository="https://git.example.com/web"))))
        assert unit.source == SourceSpec("https://git.example.com/web", "", "")

    def test_each_environment_is_a_unit(self) -> None:
        specs = (("prod", ApplicationSpec(target=TargetSection("default", "p"))), ("staging", ApplicationSpec()))
        found = resolved(app(environments=specs, target=TargetSection("default", "x")))
        assert [str(unit.name) for unit in found.units] == ["shop/web@prod", "shop/web@staging"]
        assert [unit.target.namespace for unit in found.units] == ["p", ""]

    def test_units_are_ordered_by_name(self) -> None:
        assert [unit.name.name for unit in resolved(app("b"), app("a")).units] == ["a", "b"]


class TestDigest:
    def test_it_covers_everything_that_is_done(self) -> None:
        changes = (
            app(helm=HelmSection(values={"a": 1})),
            app(helm=HelmSection(values={"a": 2})),
            app(approve=ApproveSection(count=2)),
            app(source=SourceSection("x")),
            replace(app(), labels=(("a", "b"),)),
            app(),
        )
        digests = {one(resolved(change)).digest for change in changes}
        assert len(digests) == len(changes)
        assert one(resolved(app(), projects=(Project("shop", kinds=("ConfigMap",)),))).digest not in digests

    def test_the_place_in_the_file_changes_nothing(self) -> None:
        assert one(resolved(app(line=1))).digest == one(resolved(app(line=9))).digest

    def test_the_order_of_values_changes_nothing(self) -> None:
        first = one(resolved(app(helm=HelmSection(values={"a": 1, "b": 2}))))
        assert first.digest == one(resolved(app(helm=HelmSection(values={"b": 2, "a": 1})))).digest


class TestTrust:
    def test_the_default_project_is_the_admin_roots_alone(self) -> None:
        assert one(resolved(app(project="default"))).name == UnitName("default", "web")
        found = resolve(Trust(replace(TEAM, projects=("default",)), False, ()), [app(project="default")])
        assert "there is no project “default”" in told(found)

    def test_a_project_that_is_not_declared_is_named_with_the_nearest(self) -> None:
        found = resolved(app(project="shob"))
        assert found.units == ()
        assert "there is no project “shob”\n  did you mean “shop”?" in told(found)

    def test_a_root_declares_only_its_projects(self) -> None:
        projects = (SHOP, Project("bank"))
        found = resolved(app(), app("vault", "bank"), admin=False, projects=projects)
        assert [str(unit.name) for unit in found.units] == ["shop/web"]
        assert "the root team may not declare units of project “bank”" in told(found)

    def test_a_root_declares_only_its_kinds(self) -> None:
        found = resolve(Trust(replace(TEAM, kinds=()), False, (SHOP,)), [app()])
        assert "may not declare kind Application" in told(found)

    @pytest.mark.parametrize("declaration", [Root("r"), Project("p"), Cluster("c"), Credential("k")])
    def test_only_the_admin_root_says_whom_to_trust(self, declaration: Declaration) -> None:
        found = resolved(declaration, app(), admin=False)
        assert "only the admin root declares" in told(found)
        assert len(found.units) == 1
        assert told(resolved(declaration, app(), admin=True)) == ""

    def test_what_the_admin_root_refers_to_has_to_be_there(self) -> None:
        found = resolved(
            Root("r", projects=("shob",)),
            Root("admin"),
            Cluster("c", credential="tokem"),
            credentials=(Credential("token"),),
        )
        assert "did you mean “shop”?" in told(found)
        assert "did you mean “token”?" in told(found)
        assert "the root that Kedge starts on" in told(found)

    def test_two_declarations_of_one_name_are_refused_with_both_places(self) -> None:
        found = resolved(Project("p", where=Where("a.yaml", 1)), Project("p", where=Where("b.yaml", 7)))
        assert "b.yaml, line 7: Project p is declared twice: here and in a.yaml, line 1" in told(found)


class TestProjectRules:
    def test_sources_are_globs(self) -> None:
        project = Project("shop", sources=("https://git.example.com/shop/*",))
        inside = app(source=SourceSection(repository="https://git.example.com/shop/web"))
        outside = app("bad", source=SourceSection(repository="https://git.example.com/bank/web"))
        found = resolved(inside, outside, projects=(project,))
        assert [unit.name.name for unit in found.units] == ["web"]
        assert "project shop does not allow the repository https://git.example.com/bank/web" in told(found)

    @pytest.mark.parametrize(
        ("target", "allowed"),
        [
            (TargetSection("default", "shop-web"), True),
            (TargetSection("default", "bank"), False),
            (TargetSection("default", ""), False),
            (TargetSection("prod", "shop-web"), False),
        ],
    )
    def test_targets_are_globs_over_cluster_and_namespace(self, target: TargetSection, allowed: bool) -> None:
        project = Project("shop", targets=(AllowedTarget("default", "shop-*"),))
        found = resolved(app(target=target), projects=(project,), clusters=(Cluster("prod"),))
        assert bool(found.units) is allowed
        assert bool(found.problems) is not allowed

    def test_kinds_are_handed_on(self) -> None:
        project = Project("shop", kinds=("ConfigMap",), deniedKinds=("Secret",))
        assert one(resolved(app(), projects=(project,))).kinds == KindRules(("ConfigMap",), ("Secret",))

    def test_an_environment_that_the_project_has_not_is_named_with_the_nearest(self) -> None:
        project = Project("shop", environments=("staging", "prod"))
        found = resolved(app(environments=(("prd", ApplicationSpec()),)), projects=(project,))
        assert "did you mean “prod”?" in told(found)

    @pytest.mark.parametrize(
        ("rule", "unit", "expected"),
        [
            (None, ApproveSection(When.NEVER), ApproveSection(When.NEVER)),
            (ApproveSection(When.ALWAYS), ApproveSection(When.NEVER), ApproveSection(When.ALWAYS)),
            (ApproveSection(When.NEVER), ApproveSection(When.ALWAYS), ApproveSection(When.ALWAYS)),
            (ApproveSection(count=3), ApproveSection(count=1), ApproveSection(count=3)),
            (ApproveSection(count=1), ApproveSection(count=2), ApproveSection(count=2)),
            (ApproveSection(by=("group:a", "group:b")), ApproveSection(), ApproveSection(by=("group:a", "group:b"))),
            (
                ApproveSection(by=("group:a", "group:b")),
                ApproveSection(by=("group:a",)),
                ApproveSection(by=("group:a",)),
            ),
            (ApproveSection(), ApproveSection(by=("group:a",)), ApproveSection(by=("group:a",))),
        ],
    )
    def test_a_unit_tightens_its_projects_rules_and_never_loosens_them(
        self, rule: ApproveSection | None, unit: ApproveSection, expected: ApproveSection
    ) -> None:
        assert one(resolved(app(approve=unit), projects=(Project("shop", approve=rule),))).approve == expected

    def test_an_approver_whom_the_project_does_not_name_is_refused(self) -> None:
        project = Project("shop", approve=ApproveSection(by=("group:sre",)))
        found = resolved(app(approve=ApproveSection(by=("group:sre", "user:me"))), projects=(project,))
        assert "user:me may not approve units of project shop" in told(found)
        assert found.units == ()


class TestReferences:
    def test_a_cluster_that_is_not_declared_is_named_with_the_nearest(self) -> None:
        found = resolved(app(target=TargetSection("prd")), clusters=(Cluster("prod"),))
        assert "there is no cluster “prd”\n  did you mean “prod”?" in told(found)

    def test_the_default_cluster_is_always_there(self) -> None:
        assert one(resolved(app())).target.cluster == "default"

    def test_after_means_the_same_project_and_environment(self) -> None:
        specs = (("prod", ApplicationSpec(after=("app/db",))),)
        db = app("db", environments=(("prod", ApplicationSpec()),))
        web = next(u for u in resolved(app(environments=specs), db).units if u.name.name == "web")
        assert web.after == (UnitName("shop", "db", "prod"),)
        found = resolved(app(environments=specs), app("db"))
        assert "shop/web@prod comes after shop/db@prod, which is not declared" in told(found)
        assert (
            "there is shop/db; order holds within one environment, and it has to be in the environment prod too"
            in told(found)
        )
        assert [str(unit.name) for unit in found.units] == ["shop/db"]

    def test_after_may_name_a_unit_of_another_root(self) -> None:
        found = resolved(app(after=("app/db",)), elsewhere=(UnitName("shop", "db"),))
        assert one(found).after == (UnitName("shop", "db"),)

    def test_the_nearest_name_is_told(self) -> None:
        found = resolved(app(after=("app/ingres",)), app("ingress"))
        assert "did you mean “app/ingress”?" in told(found)

    def test_a_unit_with_a_problem_is_no_dangling_reference(self) -> None:
        found = resolved(app(after=("app/db",)), app("db", target=TargetSection("nope")))
        assert [unit.name.name for unit in found.units] == ["web"]
        assert len(found.problems) == 1

    def test_two_units_of_one_name_are_refused_with_both_places(self) -> None:
        found = resolved(app(line=3), app(line=8), app("other"))
        assert [unit.name.name for unit in found.units] == ["other"]
        assert told(found).startswith("a.yaml, line 8: shop/web is declared twice: here and in a.yaml, line 3")

    def test_a_circle_is_refused_with_its_path_and_the_others_live(self) -> None:
        found = resolved(
            app("a", after=("app/b",)),
            app("b", after=("app/c",)),
            app("c", after=("app/a",)),
            app("self", after=("app/self",)),
            app("waits", after=("app/a",)),
            app("free"),
        )
        assert [unit.name.name for unit in found.units] == ["free", "waits"]
        assert "these wait for each other: shop/a → shop/b → shop/c → shop/a" in told(found)
        assert "shop/self → shop/self" in told(found)
        assert len(found.problems) == 2

    def test_a_long_chain_is_no_circle(self) -> None:
        count = 3_000
        chain = [app(f"a{n}", after=(f"app/a{n + 1}",)) for n in range(count)]
        assert len(resolved(*chain, app(f"a{count}")).units) == count + 1


def test_a_range_of_versions_takes_the_place_of_a_ref() -> None:
    unit = one(resolved(app(source=SourceSection("x", version=">=1.2   <2"))))
    assert unit.source == SourceSpec(unit.source.repository, "version >=1.2 <2", "x")


def test_other_sources_stand_beside_the_chart_and_values_files_find_them() -> None:
    source = SourceSection(
        repository="https://charts.example.com", chart="web", version="1.x", others=(OtherSource("values", "", "main"),)
    )
    unit = one(resolved(app(source=source, helm=HelmSection(valuesFiles=("$values/prod.yaml", "plain.yaml")))))
    assert unit.source.path == "web"
    assert [ref for _, ref in parts_of(unit.source.repository, unit.source.ref)] == ["chart web 1.x", "main"]
    assert unit.render.helm is not None
    assert unit.render.helm.valuesFiles == ("../.others/values/prod.yaml", "plain.yaml")


def test_a_values_file_of_a_source_that_is_not_there_is_told() -> None:
    source = SourceSection("x", others=(OtherSource("values", "", "main"),))
    found = resolved(app(source=source, helm=HelmSection(valuesFiles=("$value/prod.yaml",))))
    assert "there is no other source “value”" in told(found)


def test_a_project_judges_every_repository_that_a_unit_reads() -> None:
    shop = Project("shop", sources=("https://git.example.com/*",))
    for more in (
        SourceSection("x", others=(OtherSource("values", "https://evil.example/v"),)),
        SourceSection("x", allow=("https://evil.example/charts",)),
    ):
        assert "does not allow the repository https://evil.example" in told(
            resolved(app(source=more), projects=(shop,))
        )


def test_charts_of_the_same_repository_need_no_leave_of_the_project() -> None:
    shop = Project("shop", sources=("https://git.example.com/*",))
    assert one(resolved(app(source=SourceSection("x", allow=("file://",))), projects=(shop,))).source.path == "x"


def stack(name: str = "db", project: str = "shop", **spec: Any) -> Stack:
    return Stack(name, project, spec=StackSpec(**spec), where=Where("s.yaml", 3, 1))


def reads(name: str, output: str = "endpoint") -> InputSection:
    return InputSection(name, output, ValueType.STRING)


class TestStacks:
    def test_a_stack_is_a_unit_without_a_target(self) -> None:
        tool = ToolSection(Tool.TERRAFORM, "~1.11")
        sync = StackSyncSection(heal=StackHeal.HARMLESS, every=60.0)
        unit = one(resolved(stack(tool=tool, variables={"b": 1, "a": ["x"]}, sync=sync, onRemove=StackRemoval.DESTROY)))
        assert (unit.target.cluster, unit.on_remove, unit.sync.heal) == ("", OnRemove.ASK, Heal.ALWAYS)
        assert (unit.tool.name, unit.tool.version, unit.tool.variables) == (
            Tool.TERRAFORM,
            "~1.11",
            '{"a":["x"],"b":1}',
        )
        assert (unit.tool.harmless, unit.tool.every) == (True, 60.0)
        assert unit.approve.when is When.ALWAYS

    def test_values_are_read_within_one_project_and_environment(self) -> None:
        found = resolved(app(inputs={"host": reads("stack/db")}), stack())
        assert told(found) == ""
        web = next(unit for unit in found.units if unit.name.name == "web")
        assert [(given.name, str(given), given.type) for given in web.inputs] == [
            ("host", "shop/db.endpoint", ValueType.STRING)
        ]

    def test_a_unit_that_is_not_there_can_not_be_read(self) -> None:
        found = resolved(app(inputs={"host": reads("stack/dbb")}), stack())
        assert "s.yaml" not in told(found)
        assert "spec.inputs.host: shop/web reads shop/dbb, which is not declared" in told(found)

    def test_units_that_read_each_other_are_refused_with_their_path(self) -> None:
        circle = (stack("a", inputs={"x": reads("stack/b")}), stack("b", after=("app/web",)))
        found = resolved(*circle, app(inputs={"y": reads("stack/a")}))
        assert found.units == ()
        assert "these wait for each other: shop/a → shop/b → shop/web → shop/a" in told(found)

    def test_an_application_and_a_stack_do_not_share_a_name(self) -> None:
        assert "shop/web is declared twice" in told(resolved(app(), stack("web")))

    @pytest.mark.parametrize(
        ("allowed", "held", "words"),
        [
            ((), {"KEY": SecretFrom(env="X")}, "project shop may not use the credential aws"),
            (("a*",), None, "there is no credential “aws”"),
            (("a*",), {}, "the credential aws has no environment"),
            (("a*",), {"KEY": SecretFrom(env="X")}, ""),
        ],
    )
    def test_a_stack_is_given_only_what_its_project_may_use(self, allowed: Any, held: Any, words: str) -> None:
        credentials = () if held is None else (Credential("aws", environment=held),)
        wanted = stack(credentials=StackCredentialsSection(apply="aws"))
        found = resolved(wanted, projects=(Project("shop", credentials=allowed),), credentials=credentials)
        assert words in told(found)
        assert bool(found.units) is not bool(words)

    def test_a_root_declares_stacks_only_where_it_is_trusted_with_them(self) -> None:
        assert "may not declare kind Stack" in told(resolved(stack(), admin=False))
