from tests.contracts.clusters import cluster, fields, house  # noqa: F401  (fixtures are found by name)
