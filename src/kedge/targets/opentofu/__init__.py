"""The port `Target` over OpenTofu and Terraform: a stack is compared by a saved plan, and only that plan is applied.

Law: nothing waits here for a tool. Plans and applies are executions that outlive this process; a turn begins one or
finds what has become of it, and its end rings the unit.
"""

from kedge.targets.opentofu.target import OpenTofuTarget

__all__ = ["OpenTofuTarget"]
