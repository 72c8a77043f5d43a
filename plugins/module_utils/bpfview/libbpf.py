# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution's libbpf, through its C interface: the calls that loading a view takes."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import BpfviewError
from .running_kernel import constant_in

LIBRARY = "libbpf.so.1"
PACKAGE = "libbpf1"
VIEW_SECTIONS = ("view/", "view.s/")
VIEW_FUNCTION = "bpf_view_cgroup"

_PROG_TYPE_TRACING = 26
_F_SLEEPABLE = 1 << 4
_LOG_BYTES = 1 << 20
_DEBUG = 2  # libbpf's least urgent message level

_PRINT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_POINTER = ctypes.c_void_p


class Rejected(Exception):
    """libbpf or the kernel refused; the text is what they said, the verifier's log included."""

    def __init__(self, words: str, code: int = errno.EINVAL) -> None:
        super().__init__(words)
        self.errno = code


class Libbpf:
    """The library, with what it says kept for error messages. Not safe for threads.

    ``btf`` is the running kernel's.
    """

    def __init__(self, btf: Path) -> None:
        self._btf = btf
        try:
            self._lib = ctypes.CDLL(LIBRARY, use_errno=True)
        except OSError as error:
            raise BpfviewError(
                f"{LIBRARY} cannot be loaded ({error})",
                f"Install the package {PACKAGE}; the role view_deploy does",
            ) from error
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._buffer = ctypes.create_string_buffer(_LOG_BYTES)
        self._said: list[str] = []
        self._print = _PRINT(self._keep)
        self._lib.libbpf_set_print(self._print)
        self._registered = False

    def _keep(self, level: int, template: bytes, arguments: int) -> int:
        if level < _DEBUG:
            self._libc.vsnprintf(
                self._buffer, ctypes.c_size_t(_LOG_BYTES), template, ctypes.c_void_p(arguments)
            )
            self._said.append(self._buffer.value.decode("utf-8", "replace"))
        return 0

    def _function(self, name: str, result: object, *arguments: object) -> Callable[..., Any]:
        function = getattr(self._lib, name)
        function.restype = result
        function.argtypes = arguments
        return function  # type: ignore[no-any-return]

    def _fail(self, what: str, code: int) -> Rejected:
        words = "".join(self._said).strip()
        reason = f"{what}: {os.strerror(abs(code))}"
        return Rejected(f"{reason}\n{words}" if words else reason, abs(code))

    def _pointer(self, what: str, value: int | None) -> int:
        if not value:
            raise self._fail(what, ctypes.get_errno() or errno.EINVAL)
        return value

    def _code(self, what: str, value: int) -> int:
        if value < 0:
            raise self._fail(what, ctypes.get_errno() or -value)
        return value

    def _register(self) -> int:
        attach_type = constant_in(self._btf, "BPF_TRACE_VIEW")
        if attach_type is None:
            raise Rejected("the running kernel's BTF has no BPF_TRACE_VIEW")
        if not self._registered:
            register = self._function(
                "libbpf_register_prog_handler",
                ctypes.c_int,
                ctypes.c_char_p,
                ctypes.c_int,
                ctypes.c_int,
                _POINTER,
            )
            for section in VIEW_SECTIONS:
                code = register(section.encode(), _PROG_TYPE_TRACING, attach_type, None)
                self._code(f"registering the section {section}", code)
            self._registered = True
        return attach_type

    @contextmanager
    def load(self, content: bytes, name: str) -> Iterator[LoadedObject]:
        """Load an object through the verifier; it is there until the context ends, or pinned.

        Raises Rejected with the verifier's log.
        """
        self._said.clear()
        attach_type = self._register()
        opener = self._function(
            "bpf_object__open_mem", _POINTER, ctypes.c_char_p, ctypes.c_size_t, _POINTER
        )
        loader = self._function("bpf_object__load", ctypes.c_int, _POINTER)
        closer = self._function("bpf_object__close", None, _POINTER)
        handle = self._pointer(f"opening the object of {name}", opener(content, len(content), None))
        try:
            loaded = LoadedObject(self, handle, attach_type)
            loaded.aim()
            self._code(f"loading {name}", loader(handle))
            yield loaded
        finally:
            closer(handle)


class LoadedObject:
    """An open object's programs, maps and links."""

    def __init__(self, library: Libbpf, handle: int, attach_type: int) -> None:
        self._bpf = library
        self._handle = handle
        self._attach_type = attach_type
        function = library._function
        self._next_program = function("bpf_object__next_program", _POINTER, _POINTER, _POINTER)
        self._next_map = function("bpf_object__next_map", _POINTER, _POINTER, _POINTER)
        self._section = function("bpf_program__section_name", ctypes.c_char_p, _POINTER)

    def _programs(self) -> Iterator[tuple[int, str]]:
        program = self._next_program(self._handle, None)
        while program:
            yield program, self._section(program).decode()
            program = self._next_program(self._handle, program)

    def aim(self) -> None:
        """Before loading: set what each view attaches to."""
        function = self._bpf._function
        target = function(
            "bpf_program__set_attach_target", ctypes.c_int, _POINTER, ctypes.c_int, ctypes.c_char_p
        )
        flags = function("bpf_program__set_flags", ctypes.c_int, _POINTER, ctypes.c_uint32)
        views = [
            (p, section) for p, section in self._programs() if section.startswith(VIEW_SECTIONS)
        ]
        if len(views) != 1:
            raise Rejected(f"it has {len(views)} programs in a view/ section instead of one")
        program, section = views[0]
        if section.startswith("view.s/"):
            flags(program, _F_SLEEPABLE)
        self._bpf._code(
            f"finding {VIEW_FUNCTION} in the kernel", target(program, 0, VIEW_FUNCTION.encode())
        )

    def view_program(self) -> int:
        """After loading: return the descriptor of the view's program."""
        descriptor = self._bpf._function("bpf_program__fd", ctypes.c_int, _POINTER)
        view = next(p for p, section in self._programs() if section.startswith(VIEW_SECTIONS))
        return self._bpf._code("finding the view's program", descriptor(view))

    def links(self) -> Iterator[tuple[str, int]]:
        """After loading: attach every program and yield (pin name, descriptor of its link).

        A link ends when the context does unless it was pinned by then.
        """
        function = self._bpf._function
        descriptor = function("bpf_program__fd", ctypes.c_int, _POINTER)
        attach = function("bpf_program__attach", _POINTER, _POINTER)
        link_descriptor = function("bpf_link__fd", ctypes.c_int, _POINTER)
        destroy = function("bpf_link__destroy", ctypes.c_int, _POINTER)
        name = function("bpf_program__name", ctypes.c_char_p, _POINTER)
        create = function(
            "bpf_link_create", ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, _POINTER
        )
        programs = list(self._programs())
        # the view comes last: once its link is pinned, all it needs is
        for program, section in sorted(
            programs, key=lambda item: item[1].startswith(VIEW_SECTIONS)
        ):
            if section.startswith(VIEW_SECTIONS):
                code = create(descriptor(program), 0, self._attach_type, None)
                link = self._bpf._code("making the view's link", code)
                try:
                    yield "view", link
                finally:
                    os.close(link)
            else:
                what = f"attaching {section}"
                handle = self._bpf._pointer(what, attach(program))
                try:
                    yield f"link_{name(program).decode()}", link_descriptor(handle)
                finally:
                    destroy(handle)

    def maps(self) -> Iterator[tuple[str, int]]:
        """Yield (pin name, descriptor) of every map that the source declares."""
        function = self._bpf._function
        internal = function("bpf_map__is_internal", ctypes.c_bool, _POINTER)
        name = function("bpf_map__name", ctypes.c_char_p, _POINTER)
        descriptor = function("bpf_map__fd", ctypes.c_int, _POINTER)
        item = self._next_map(self._handle, None)
        while item:
            if not internal(item):
                yield f"map_{name(item).decode()}", descriptor(item)
            item = self._next_map(self._handle, item)
