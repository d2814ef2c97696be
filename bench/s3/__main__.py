"""python -m bench.s3 [--json FILE] [--peers a,b] [--rounds N] [--keys N] [--only a,b]."""

import sys

from bench.s3 import figures

figures.run(sys.argv[1:])
