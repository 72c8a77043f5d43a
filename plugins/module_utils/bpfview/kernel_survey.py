# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host and decide; nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass

from . import debian_packages, host_fitness, host_room, kernel_plan, kernel_record, running_kernel
from .digest import sha256_file
from .errors import BpfviewError
from .grub_boot import GrubBoot
from .grub_config import MenuNode
from .host_layout import Host
from .host_room import Room
from .kernel_plan import REBOOTS, Action, Situation
from .kernel_wanted import WantedKernel
from .trial_record import Guard

PACKAGES = "/var/lib/bpfview/packages"
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """What the user may set about trial boots."""

    function: str  # BTF of the kernel must describe it
    panic_timeout: int  # seconds
    margin_mib: int  # MiB that must stay free in /boot
    guard: Guard | None = None  # what the host itself holds a trial to
    need_watchdog: bool = False

    def __post_init__(self) -> None:
        """Refuse with BpfviewError what would leave a host without its way back."""
        if self.panic_timeout < 1:
            raise BpfviewError(
                f"kernel_install_panic_timeout is {self.panic_timeout}, with which a kernel that"
                " panics would not bring the host back as it must",
                "Set it to a number of seconds, 1 or more; 30 is the default",
            )
        if self.margin_mib < 0:
            raise BpfviewError(
                f"kernel_install_boot_margin_mib is {self.margin_mib}", "Set it to 0 or more MiB"
            )


@dataclass(frozen=True)
class Survey:
    """What was found and what follows from it."""

    action: Action
    situation: Situation
    pin: str  # release that stays or becomes the default for the time being
    copy: tuple[str, ...]  # package files that still have to be brought to the host
    rooms: tuple[Room, ...]


def unfit(host: Host, wanted: WantedKernel) -> list[str]:
    """Say why the host cannot be served at all."""
    return host_fitness.problems(host, {package.architecture for package in wanted.packages})


def survey(host: Host, wanted: WantedKernel, settings: Settings) -> Survey:
    """Look at the host; BpfviewError with everything that is wrong, before anything is changed."""
    problems = unfit(host, wanted)
    if problems:
        raise _refusal(problems)
    situation = look(host, wanted, settings)
    action = kernel_plan.decide(wanted, situation)
    pin = kernel_plan.pin_target(wanted.release, situation)
    copy: tuple[str, ...] = ()
    rooms: tuple[Room, ...] = ()
    if action in (*REBOOTS, Action.SETTLE):
        record = situation.record
        armed = record.trial.entry if record.trial else ""
        problems = GrubBoot(host).obstacles(pin, armed, fresh=not record.before)
    if action in REBOOTS:
        problems += host_fitness.secure_boot(host)
        problems += host_fitness.no_watchdog(host) if settings.need_watchdog else []
    if action is Action.STAGE and wanted.built:
        copy = tuple(missing_files(host, wanted))
        rooms = tuple(_rooms(host, wanted, situation.running.release, copy, settings))
        problems += [f"no room: {room}: free some" for room in rooms if not room.enough]
    if problems:
        raise _refusal(problems)
    return Survey(action, situation, pin, copy, rooms)


def _refusal(problems: list[str]) -> BpfviewError:
    return BpfviewError(
        "Refused before anything was changed: " + "; ".join(problems), "Then run again"
    )


def look(host: Host, wanted: WantedKernel, settings: Settings) -> Situation:
    """Read everything the decision depends on."""
    running = running_kernel.read(host, settings.function)
    grub = GrubBoot(host)
    config = grub.config()
    environment = grub.environment()
    default = config.default_entry(environment.get("saved_entry") if environment else "")
    # The running kernel's packages need no look: it runs.
    complete = running.release != wanted.release and is_complete(host, wanted)
    return Situation(
        running=running,
        default_release=default.release if default else "",
        one_shot=environment.get("next_entry") if environment else "",
        settings_current=grub.settings_current(settings.panic_timeout, running.release),
        record=kernel_record.read(host),
        complete=complete,
    )


def is_complete(host: Host, wanted: WantedKernel) -> bool:
    """Tell whether the kernel's packages, its files in /boot and its menu entry are all there."""
    names = list(wanted.digests) or [f"linux-image-{wanted.release}"]
    if set(debian_packages.installed(host, names)) != set(names):
        return False
    entry = GrubBoot(host).config().entry_for(wanted.release)
    return entry is not None and _boot_files(host, entry, wanted.release)


def _boot_files(host: Host, entry: MenuNode, release: str) -> bool:
    image = host.path(f"/boot/vmlinuz-{release}")
    initramfs = host.path(f"/boot/initrd.img-{release}")
    if not image.is_file() or not image.stat().st_size:
        return False
    if not host.path("/usr/sbin/update-initramfs").exists():
        return True
    named = any(name.endswith(f"initrd.img-{release}") for name in entry.initrd)
    return named and initramfs.is_file() and initramfs.stat().st_size > 0


def missing_files(host: Host, wanted: WantedKernel) -> list[str]:
    """Return the package files that are not on the host yet, or not whole."""
    missing = []
    for package in wanted.packages:
        try:
            found = sha256_file(host.path(f"{PACKAGES}/{package.file}"))
        except OSError:
            found = ""
        if found != package.sha256:
            missing.append(package.file)
    return missing


def _rooms(
    host: Host, wanted: WantedKernel, running: str, copy: tuple[str, ...], settings: Settings
) -> list[Room]:
    needs = host_room.needs(
        boot_bytes=sum(package.boot_bytes for package in wanted.packages),
        other_bytes=sum(package.other_bytes for package in wanted.packages),
        copy_bytes=sum(package.size for package in wanted.packages if package.file in copy),
        initramfs=host_room.initramfs_size(host, running),
        margin=settings.margin_mib * _MIB,
    )
    return host_room.rooms(host, needs)
