"""Kedge: GitOps for a whole system. One plan, one approval, one history."""

__version__ = "0.1.0"
