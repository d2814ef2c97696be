"""What setup.cfg can't say: the checksum in C, which is left out where nobody can compile it."""

import os

from setuptools import Extension, setup

# A wheel with it would be for one processor and one libc; `make wheel` makes one for all.
PURE = bool(os.environ.get("EUCABOX_PURE_WHEEL"))
CRC64 = Extension(
    "eucabox.store._crc64",
    ["eucabox/store/_crc64.c"],
    extra_compile_args=["-O3"],
    py_limited_api=True,
    optional=True,
)

setup(ext_modules=[] if PURE else [CRC64])
