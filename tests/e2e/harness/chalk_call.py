"""One `F.openai_complete` over a small DataFrame, in a process of its own: its native library logs and keeps threads.

    python chalk_call.py '{"api_server": …, "api_key": …, "model": …, "rows": 1, "retry": 0}'

The last line it prints is the list of result structs as JSON.
"""

from __future__ import annotations

import json
import sys

import chalk.functions as F
from chalk.features import _
from chalkdf import DataFrame


def main() -> None:
    """Calls and prints."""
    given = json.loads(sys.argv[1])
    rows, retry = given.pop("rows", 1), given.pop("retry", 0)
    call = F.openai_complete(prompt=_.x, **given)
    if retry:
        call = call.with_concurrency(max_concurrent=2, key="crossway").with_retry(max_retries=retry, key="crossway")
    frame = DataFrame({"x": [f"Say hello {row}" for row in range(rows)]})
    table = frame.with_columns(call.alias("result")).run().to_arrow()
    print("\n" + json.dumps([row["result"] for row in table.to_pylist()]), flush=True)


if __name__ == "__main__":
    main()
