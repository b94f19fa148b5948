from kedge.control.shift.readers import Readers


def readers(**units):
    index = Readers()
    for name, paths in units.items():
        index.put(name, paths)
    return index


def test_a_changed_file_finds_the_units_that_read_it():
    index = readers(web=("apps/web/a.yaml",), api=("apps/api/a.yaml",))
    assert index.of(["apps/web/a.yaml"]) == ("web",)


def test_a_new_file_finds_the_units_that_listed_a_folder_above_it():
    assert readers(web=("apps/web",)).of(["apps/web/sub/new.yaml"]) == ("web",)


def test_a_file_that_was_looked_for_in_vain_finds_its_reader_when_it_comes():
    assert readers(web=("apps/web/Chart.yaml",)).of(["apps/web/Chart.yaml"]) == ("web",)


def test_a_unit_that_never_rendered_reads_everything():
    assert readers(new=None, web=("a",)).of(["z"]) == ("new",)


def test_a_new_render_replaces_what_was_read_before():
    index = readers(web=("a", "b"))
    index.put("web", ("c",))
    assert index.of(["a", "b"]) == ()
    assert index.of(["c"]) == ("web",)
    index.drop("web")
    assert index.of(["c"]) == ()
    assert len(index) == 0


def test_the_repositorys_root_listing_sees_every_path():
    assert readers(all=("",)).of(["x/y.yaml"]) == ("all",)
