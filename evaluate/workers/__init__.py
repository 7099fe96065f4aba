"""Where evaluations run: in this process or on Ray workers, guarded against every fault."""

__all__: list[str] = []
