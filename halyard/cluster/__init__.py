"""Live processes: engines (vLLM), learners (DeepSpeed), and Ray, which places them.

Ray reads these settings when it is imported, so they are made here, before any module below does so.
"""

import os

for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Ray prints what its daemons report; a dead process is told by our own errors, once, with its log.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    # Who may talk to Ray's daemons runs code in them: only processes that hold this user's token.
    "RAY_AUTH_MODE": "token",
}.items():
    os.environ.setdefault(_name, _value)
