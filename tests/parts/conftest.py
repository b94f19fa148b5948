from tests.parts.fixtures import control_plane, real_cluster, tofu  # noqa: F401  (fixtures are found by name)
