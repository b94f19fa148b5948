"""Where stories find a provider that nobody can build here, and what they say where they do not."""

from __future__ import annotations

from pathlib import Path

from tests.parts.mirrors import SETTING, lacking, machine, source_of

AWS = "hashicorp/aws"


def made(root: Path, *names: str) -> Path:
    for name in names:
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return root


def test_an_unpacked_provider_is_found_below_any_registrys_name(tmp_path: Path) -> None:
    root = made(tmp_path, f"some.test/{AWS}/6.1.0/{machine()}/terraform-provider-aws_v6.1.0_x5")
    assert source_of(root, AWS) == "some.test/hashicorp/aws"


def test_an_archive_of_a_provider_is_found_beside_the_files_that_list_it(tmp_path: Path) -> None:
    home = f"other.test/{AWS}"
    root = made(tmp_path, f"{home}/index.json", f"{home}/terraform-provider-aws_6.1.0_{machine()}.zip")
    assert source_of(root, AWS) == "other.test/hashicorp/aws"


def test_what_a_mirror_lacks_for_this_machine_is_named(tmp_path: Path) -> None:
    elsewhere = f"some.test/{AWS}"
    made(tmp_path, f"{elsewhere}/6.1.0/plan9_mips/x", f"{elsewhere}/terraform-provider-aws_6.1.0_plan9_mips.zip")
    made(tmp_path, f"some.test/acme/aws/6.1.0/{machine()}/x")
    assert lacking({SETTING: str(tmp_path)}, AWS) == f"{SETTING}: {tmp_path} has no hashicorp/aws for {machine()}"
    assert lacking({SETTING: str(tmp_path)}, "acme/aws") == ""


def test_without_the_setting_the_stories_say_which_it_is() -> None:
    assert lacking({}, AWS) == f"no mirror of providers: {SETTING} names a folder with hashicorp/aws"
