"""Workers that run evaluations, in this process or on Ray, guarded against every fault."""

__all__: list[str] = []
