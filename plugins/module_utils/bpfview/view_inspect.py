# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks of its wanted views, without changing anything; and supplying it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import cgroup_tree, view_apply, view_host, view_pins, view_plan, views_desired, views_units
from .digest import sha256_file
from .errors import BpfviewError
from .host_layout import Host, write_durably
from .libbpf import PACKAGE
from .view_kernel import Kernel
from .view_plan import Observed, Step
from .views_desired import View


@dataclass(frozen=True)
class Inspection:
    """All that differs between what a host has and what is wanted."""

    views: tuple[View, ...]
    observed: Observed
    steps: tuple[Step, ...]
    missing_objects: tuple[str, ...] = ()
    agent_differs: bool = False
    library_missing: bool = False
    list_differs: bool = False
    units: tuple[views_units.Difference, ...] = ()
    warnings: tuple[str, ...] = ()
    exposed_before: tuple[str, ...] = ()
    list_before: str = ""

    @property
    def pending(self) -> bool:
        """Whether anything is to be done."""
        return bool(
            self.steps
            or self.missing_objects
            or self.agent_differs
            or self.library_missing
            or self.list_differs
            or self.units
        )

    @property
    def exposed_after(self) -> tuple[str, ...]:
        """The entries that are wanted, as ``exposed_before`` lists those that are."""
        return tuple(
            sorted(
                f"{view_pins.entry_path(cgroup, view.entry)} {view.sha256[:12]}"
                for view in self.views
                for cgroup in self.observed.cgroups[view.name]
            )
        )

    def facts(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "pending": self.pending,
            "steps": [str(step) for step in self.steps],
            "summary": view_plan.summary(self.steps),
            "missing_objects": list(self.missing_objects),
            "missing_packages": [PACKAGE] if self.library_missing else [],
            "agent_differs": self.agent_differs,
            "list_differs": self.list_differs,
            "units": sorted({difference.unit for difference in self.units}),
            "warnings": list(self.warnings),
            "views": {
                view.name: {
                    "entry": view.entry,
                    "sha256": view.sha256,
                    "cgroups": len(self.observed.cgroups[view.name]),
                }
                for view in self.views
            },
        }

    def diff(self) -> list[dict[str, str]]:
        """Return what a run changes, as Ansible shows it."""
        parts = []
        if self.library_missing:
            parts.append(("packages", "", f"{PACKAGE}\n"))
        if self.list_differs:
            parts.append((views_desired.FILE, self.list_before, views_desired.dump(self.views)))
        before, after = ("".join(f"{line}\n" for line in lines) for lines in self._exposed)
        if before != after or self.steps:
            parts.append(("views in cgroups", before, after))
        parts += [(item.what, item.before, item.after) for item in self.units]
        return [
            {"before_header": name, "after_header": name, "before": before, "after": after}
            for name, before, after in parts
        ]

    @property
    def _exposed(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.exposed_before, self.exposed_after


def inspect(
    host: Host,
    kernel: Kernel,
    views: tuple[View, ...],
    agent_sha256: str = "",
    predict: bool = False,
) -> Inspection:
    """Compare a host with what is wanted; BpfviewError for what stands in the way.

    ``predict`` is for what comes before the kernel: that it carries no views is then a warning,
    because a later stage of the same run, or a real run, brings one that does.
    """
    cgroup_tree.check_unified(host)
    views_units.check_systemd(host)
    warnings = []
    lack = view_host.kernel_lack(host)
    if lack and not predict:
        raise lack
    if lack:
        warnings.append(f"{lack.message}; what follows is predicted for one that does")
    view_host.check_bpffs(host)
    found = view_host.targets(host, views, kernel_to_come=lack is not None)
    view_host.refuse_unmatched(found)
    observed = view_host.observe(host, kernel, views, found)
    listed = host.text(views_desired.FILE)
    return Inspection(
        views=views,
        observed=observed,
        steps=tuple(view_plan.plan(views, observed)),
        missing_objects=tuple(view_host.missing_objects(host, views)),
        agent_differs=bool(agent_sha256) and _digest(host, views_units.AGENT) != agent_sha256,
        library_missing=not view_host.library_present(),
        list_differs=listed != views_desired.dump(views),
        units=tuple(views_units.differing(host)),
        warnings=tuple(warnings),
        exposed_before=tuple(_exposed(observed)),
        list_before=listed,
    )


def _exposed(observed: Observed) -> Iterator[str]:
    record = observed.record or {}
    for path in sorted(observed.inodes):
        maker = observed.maker(path)
        if maker is not None:
            yield f"{path} {record[maker].sha256[:12]}"


def _digest(host: Host, path: str) -> str:
    try:
        return sha256_file(host.path(path))
    except OSError:
        return ""


def supply(
    host: Host,
    kernel: Kernel,
    views: tuple[View, ...],
    agent_sha256: str = "",
    log: Callable[[str], None] = lambda _line: None,
) -> Inspection:
    """Bring a host to what is wanted; return what it lacked before.

    Objects and agent have to be there already, and are proved to be the wanted ones before use.
    """
    with view_apply.only_one(host):
        state = inspect(host, kernel, views, agent_sha256)
        if state.agent_differs:
            raise BpfviewError(
                f"{views_units.AGENT} is not the agent that was to be installed",
                "Deploy the views again; if it happens again, see who changes the file",
            )
        if state.steps:
            view_apply.Applier(host, kernel, views, state.observed, log).run(state.steps)
        view_apply.drop_empty_folders(host, views)
        if state.list_differs:
            write_durably(host.path(views_desired.FILE), views_desired.dump(views).encode())
        drop_stale_objects(host, views)
    if state.units or state.list_differs:
        views_units.install(host)
    return state


def drop_stale_objects(host: Host, views: Sequence[View]) -> None:
    """Remove objects that no wanted view is made from."""
    kept = {f"{view.sha256}.o" for view in views}
    folder = host.path(views_desired.OBJECTS)
    for path in folder.glob("*.o"):
        if path.name not in kept:
            path.unlink()


def reconcile(host: Host, kernel: Kernel, strict: bool, log: Callable[[str], None]) -> list[Step]:
    """Bring a host to what its own list says, as the agent does.

    Not ``strict`` is for a boot: on a kernel without the series, for a view that an older one
    refuses, and for a selector that matches nothing yet, it says so and goes on, for a host on its
    fallback kernel is not a broken one.
    """
    cgroup_tree.check_unified(host)
    with view_apply.only_one(host):
        # only now: a deployment that this waited for has written another list
        views = views_desired.load(host)
        if views is None:
            raise BpfviewError(
                f"There is no {views_desired.FILE}",
                "Deploy the views: ansible-playbook -i inventory playbooks/views.yml",
            )
        lack = view_host.kernel_lack(host)
        if lack:
            if strict:
                raise lack
            log(f"nothing done: {lack.message}")
            return []
        view_host.check_bpffs(host)
        found = view_host.targets(host, views)
        if strict:
            view_host.refuse_unmatched(found)
        for view, selector in found.unmatched:
            log(f"no cgroup matches {selector!r} of the view {view} now")
        observed = view_host.observe(host, kernel, views, found)
        return view_apply.Applier(host, kernel, views, observed, log).apply(strict=strict)


def remove(
    host: Host, kernel: Kernel, log: Callable[[str], None] = lambda _line: None
) -> list[str]:
    """Take away all that the views' stage brought to a host; return what it was."""
    removed = []
    if views_units.remove(host):
        removed.append("units")
    if view_pins.present(host):
        with view_apply.only_one(host):
            removed += [str(step) for step in view_apply.remove_all(host, kernel, log)]
    return removed + view_pins.remove_files(
        host, [views_desired.FILE, views_units.AGENT], [views_desired.OBJECTS, view_pins.RUN]
    )


def to_be_removed(host: Host) -> list[str]:
    """Return what ``remove`` would take away."""
    there = [views_units.path_of(unit) for unit in views_units.TEXTS]
    there += [views_desired.FILE, views_units.AGENT, views_desired.OBJECTS, view_pins.PINS]
    return [path for path in there if host.path(path).exists()]
