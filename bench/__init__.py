"""Benchmarks: speed is shown here, never asserted in a test. Each module has a `main()` that prints its figures."""
