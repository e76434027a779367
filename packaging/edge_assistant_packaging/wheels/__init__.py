"""The wheelhouse: every wheel that the assistant needs on a target, and nothing for another one."""
