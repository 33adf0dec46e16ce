"""What one scan has found so far."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field


@dataclass(slots=True)
class ScanSession:
    """Findings that can only be judged when all targets of a scan have been walked."""

    started_us: int
    accept_removals: bool = False
    scan_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    files_seen: int = 0
    files_new: int = 0
    files_changed: int = 0
    files_moved: int = 0
    files_removed: int = 0
    vanished: dict[int, set[int]] = field(default_factory=dict)
    """Assets whose file was not at its place, by root id; moved ones are taken out again."""
    vanished_folders: dict[int, set[int]] = field(default_factory=dict)
    """Folders that were not there, by root id."""
    settled: set[int] = field(default_factory=set)
    """Assets that were found at a new place after all."""
    ignored: set[int] = field(default_factory=set)
    """Vanished assets whose file is where it was, and passed over now."""
    walked_roots: set[int] = field(default_factory=set)
    """Roots that were walked as a whole."""

    def vanish(self, root_id: int, asset_ids: list[int]) -> None:
        """Note assets without their file."""
        self.vanished.setdefault(root_id, set()).update(asset_ids)

    def found_at_place(self, root_id: int, asset_id: int) -> None:
        """Note that an asset's file is where it was: a second look may see what the first did not."""
        if root_id in self.vanished:
            self.vanished[root_id].discard(asset_id)

    def settle(self, asset_id: int) -> None:
        """Note that an asset's file has been found."""
        self.settled.add(asset_id)
        for ids in self.vanished.values():
            ids.discard(asset_id)
