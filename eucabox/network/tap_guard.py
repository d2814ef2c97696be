"""Keeps instances' devices shut while the table of security groups is not there; opens nothing.

A table that belongs to a process outlives `nft flush ruleset`, and nobody else can delete it. It
lets pass only what bears the mark that the table of the groups puts on what it lets pass. The
kernel takes it away with the process, so it must hold nothing that has to stay.
"""

import ctypes
import logging

from eucabox.network.nft_rules import GUARDED, guard

log = logging.getLogger("eucabox.network")
LIBRARY = "libnftables.so.1"  # the program nft is made of it, so it is there


class Guard:
    """The table of one bridge, held by a socket of libnftables."""

    def __init__(self, bridge: str, prefix: str) -> None:
        self._name = GUARDED + bridge
        self._rules = guard(self._name, prefix)
        self._library: ctypes.CDLL | None = None
        self._context: int | None = None

    def open(self) -> None:
        """Guard from now on, where the kernel can (5.12 and newer)."""
        if self._context is not None:
            return
        try:
            library = self._load()
        except (OSError, AttributeError) as problem:
            log.info("role=cluster no table can be kept from deletion: %s", problem)
            return
        context = library.nft_ctx_new(0)
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, self._rules.encode()):
            message = library.nft_ctx_get_error_buffer(context).decode("utf-8", "replace")
            log.info(
                "role=cluster no table can be kept from deletion: %s", message.partition("\n")[0]
            )
            library.nft_ctx_free(context)
            return
        self._library, self._context = library, context
        # It has looked at every table of the host, and keeps half a megabyte of each until a run
        # that is dry.
        library.nft_ctx_set_dry_run(context, True)
        library.nft_run_cmd_from_buffer(context, b"")

    def close(self) -> None:
        """Guard no more: the kernel takes the table away."""
        if self._library is not None and self._context is not None:
            self._library.nft_ctx_free(self._context)
        self._context = None

    def _load(self) -> ctypes.CDLL:
        library = ctypes.CDLL(LIBRARY)
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        for name in ("nft_ctx_buffer_error", "nft_ctx_get_error_buffer", "nft_ctx_free"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        return library
