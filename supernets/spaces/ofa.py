"""Spaces whose archs convert to and from the settings that once-for-all's users have (Cai et al., 2020). No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from supernets.errors import ArchError
from supernets.spaces.space import Arch, Axis, Choice, Space

STEM = ("stem.middle_width", "stem.width")
ALIASES = {"image_size": "r"}
IGNORED = ("wid",)
"""Always None in the settings of released networks: they have one width."""


class OfaSpace(Space):
    """A space over stages of blocks; an axis with one choice is a constant and no axis of the space.

    The settings are lists: ``ks`` (kernels) and ``e`` (expansions) have one entry a block, those of skipped
    blocks included; ``d`` (depths) has one a stage; ``r`` is the resolution. A ResNet has no ``ks``, the depth of
    the stem as the first entry of ``d`` (0, or the largest depth), and ``w``, indices into the widths of the
    stem's middle, the stem, and each stage. A number in place of a list stands for all entries.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        allowed: Sequence[Sequence[int]] | None = None,
        *,
        blocks_of_stages: Sequence[int] = (),
    ) -> None:
        self._every = {axis.name: axis for axis in axes}
        self._stages = tuple(blocks_of_stages)
        super().__init__([axis for axis in axes if len(axis.choices) > 1], allowed)

    @property
    def _has_stem(self) -> bool:
        return STEM[0] in self._every

    def _blocks(self) -> list[tuple[int, int]]:
        return [(stage, block) for stage, n in enumerate(self._stages, 1) for block in range(1, n + 1)]

    def _fields(self) -> dict[str, list[str]]:
        """The axis of every entry of every list."""
        stages = range(1, len(self._stages) + 1)
        blocks = [f"stage{stage}.block{block}" for stage, block in self._blocks()]
        expand = [f"{block}.expand" for block in blocks]
        depth = [f"stage{stage}.depth" for stage in stages]
        if self._has_stem:
            widths = [*STEM, *(f"stage{stage}.width" for stage in stages)]
            return {"d": ["stem.depth", *depth], "e": expand, "w": widths}
        return {"ks": [f"{block}.kernel" for block in blocks], "e": expand, "d": depth}

    def from_ofa(self, settings: Mapping[str, object]) -> Arch:
        """The arch that these settings describe; raises ``ArchError`` for anything out of range."""
        given = {ALIASES.get(key, key): value for key, value in settings.items()}
        given = {key: value for key, value in given.items() if not (key in IGNORED and value is None)}
        fields = self._fields()
        if set(given) != {*fields, "r"}:
            raise ArchError(f"settings must have exactly {[*fields, 'r']}, got {sorted(map(str, settings))}")
        raw = {"resolution": _resolution(given["r"])}
        for field, axes in fields.items():
            entries = self._entries(field, given[field], len(axes))
            raw |= {
                axis: self._choice(f"{field}[{index}]", axis, entry)
                for index, (axis, entry) in enumerate(zip(axes, entries, strict=True))
            }
        return self._checked_arch(raw)

    def _entries(self, field: str, value: object, length: int) -> list[object]:
        if not isinstance(value, list | tuple):
            return [value] * length
        # Depths of stages that are always one block deep are often left out.
        fixed = 0
        if field == "d":
            axes = self._fields()["d"]
            while len(self._every[axes[length - 1 - fixed]].choices) == 1 and fixed < length - 1:
                fixed += 1
        if not length - fixed <= len(value) <= length:
            required = f"{length - fixed} or {length}" if fixed else f"{length}"
            raise ArchError(f"{field!r} must have {required} entries, got {len(value)}")
        return [*value, *[None] * (length - len(value))]

    def _choice(self, name: str, axis: str, entry: object) -> object:
        """What an entry means on its axis."""
        choices = self._every[axis].choices
        if axis == "stem.depth":
            allowed = [0, max(self._every["stage1.depth"].choices)]
            if isinstance(entry, bool) or entry not in allowed:
                raise ArchError(f"{name}, the depth of the stem, must be one of {allowed}, got {entry!r}")
            return int(entry != 0) if len(choices) > 1 else choices[0]
        if axis.endswith("width"):
            if isinstance(entry, bool) or not isinstance(entry, int) or not 0 <= entry < len(choices):
                raise ArchError(
                    f"{name} must be an index into the widths {list(choices)}, 0 to {len(choices) - 1}, got {entry!r}"
                )
            return choices[entry]
        if axis.endswith("depth") and len(choices) == 1:
            return choices[0]
        return entry

    def _checked_arch(self, raw: dict[str, object]) -> Arch:
        """The arch with these choices, where those of skipped blocks may be anything."""
        made: dict[str, Choice] = {}
        for name, axis in self._every.items():
            if axis.parent is not None and made.get(axis.parent) not in axis.active_when:
                continue
            value = raw.get(name, axis.choices[0])
            if isinstance(value, bool) or value not in axis.choices:
                raise ArchError(f"{name!r} must be one of {list(axis.choices)}, got {value!r}")
            made[name] = value
        return self.arch({name: value for name, value in made.items() if len(self._every[name].choices) > 1})

    def to_ofa(self, arch: Arch) -> dict[str, object]:
        """The settings of ``arch``; entries of skipped blocks are the smallest choice."""
        if not self.contains(arch):
            self.arch(arch.as_dict())
        settings: dict[str, object] = {
            field: [self._entry(axis, arch) for axis in axes] for field, axes in self._fields().items()
        }
        return {**settings, "r": arch.get("resolution", self._every["resolution"].choices[0])}

    def _entry(self, name: str, arch: Arch) -> Choice:
        axis = self._every[name]
        choice = arch.get(name, axis.choices[0])
        assert choice is not None
        if name == "stem.depth":
            return max(self._every["stage1.depth"].choices) if choice else 0
        return axis.choices.index(choice) if self._has_stem and axis.kind == "width" else choice


def _resolution(value: object) -> object:
    """A number, or a list of one."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
