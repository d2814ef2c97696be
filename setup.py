"""What setup.cfg can't say: the checksum in C, which is left out where nobody can compile it."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "eucabox.store._crc64",
            ["eucabox/store/_crc64.c"],
            extra_compile_args=["-O3"],
            py_limited_api=True,
            optional=True,
        )
    ]
)
