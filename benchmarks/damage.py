"""Ways to damage the files of a run folder (for `malformed_cases.py`).

Some damage keeps the checksum right: tensors of another shape, type or name in a checkpoint that is
sealed again. Other damage is JSON of another form, or a folder, pipe or link in place of a file.
"""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from advnets.storage.checkpoints import checksum

ODD: list[object] = [
    None, True, -1, 0, 2**63, 10**400, 1e308, -0.5, "", "x", "\x1b[2J\n", "../..", [], [[[]]], {},
    {"a": {}}, [None] * 50, "1", "nan", [2**31], {"": 0}, "\x00",
]  # fmt: skip
VALUES = [
    "-1", '"x"', "nan", "9" * 30, "[]", '"\\u001b[2J"', '"\\u0000"', "inf", '"1"', "true", "{}",
    "1e-320", "1979-05-27", "[" * 500 + "]" * 500, '"' + "x" * 100_000 + '"', "[1, \"a\"]",
]  # fmt: skip
Damage = Callable[[Path, Path, random.Random], None]


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Bytes that are cut short, changed, doubled, or have others inserted."""
    if not data:
        return dice.randbytes(20)
    how = dice.randrange(6)
    at = dice.randrange(len(data))
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
    if how == 2:
        return data + data
    if how == 3:
        return data[:at] + dice.randbytes(200) + data[at:]
    if how == 4:  # one bit
        return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
    head = bytearray(data)
    for _ in range(20):
        head[dice.randrange(min(len(head), 128))] = dice.randrange(256)
    return bytes(head)


# JSON


def other_json(value: object, dice: random.Random) -> object:
    """A JSON value with one part replaced or removed."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice([*value])
        rest = {k: v for k, v in value.items() if k != key}
        return rest if dice.random() < 0.3 else {**value, key: other_json(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.5:
        return [other_json(v, dice) for v in value]
    return dice.choice(ODD)


def as_words(value: object) -> object:
    """The same value with a string for every number."""
    if isinstance(value, dict):
        return {k: as_words(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_words(v) for v in value]
    return str(value) if isinstance(value, (int, float)) else value


def other_text(text: str, dice: random.Random) -> str:
    """The text of a JSON value, of another form: deep, huge, of other types, without a key."""
    value = json.loads(text)
    how = dice.randrange(9)
    if how == 0:
        return "[" * 100_000 + "]" * 100_000
    if how == 1:
        return text.rstrip()[:-1] + ', "a": ' + '{"a":' * 5_000 + "1" + "}" * 5_001
    if how == 2:
        return json.dumps({**value, "huge": "x" * 5_000_000})
    if how == 3:
        return json.dumps(as_words(value))
    if how == 4:
        return json.dumps(dict.fromkeys(value))
    if how == 5:
        return text.rstrip()[:-1] + "," + text.lstrip()[1:]  # every key twice
    if how == 6:
        return json.dumps({k: v for k, v in value.items() if k != dice.choice([*value])})
    return json.dumps(other_json(value, dice))


def other_facts(work: Path, path: Path, dice: random.Random) -> None:
    """Give a JSON file, or a line of a log, another form."""
    text = path.read_text()
    if path.suffix == ".json":
        path.write_text(other_text(text, dice))
        return
    lines = text.splitlines()
    at = dice.randrange(len(lines))
    lines[at] = other_text(lines[at], dice)
    path.write_text("\n".join(lines) + "\n" * dice.randrange(2))


# Checkpoints


def other_tensor(t: Tensor, dice: random.Random) -> Tensor:
    """A tensor of another shape, type or value."""
    flat = t.reshape(-1)
    how = dice.randrange(9)
    if how == 0:
        return flat[: len(flat) // 2]
    if how == 1:
        return t[None, None]
    if how == 2:
        return torch.zeros(0)
    if how == 3:
        kinds = (torch.float64, torch.int64, torch.bool, torch.uint8, torch.float16)
        return t.to(dice.choice(kinds))
    if how == 4:
        return torch.full_like(t, dice.choice([0, 1, 255 if t.dtype == torch.uint8 else 1]))
    if how == 5:
        return torch.full_like(t, -1 if t.dtype not in (torch.uint8, torch.bool) else 1)
    if how == 6:
        most = torch.finfo if t.is_floating_point() else torch.iinfo
        return t if t.dtype == torch.bool else torch.full_like(t, most(t.dtype).max)
    if how == 7:
        return torch.full((3,), float("nan"))
    return torch.cat((flat, flat))


def sealed_again(work: Path, path: Path, dice: random.Random) -> None:
    """Change tensors or facts of a checkpoint, and write the checksum of its new content."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in sorted(set(file.keys()))}
        facts: Any = json.loads(file.metadata()["advnets"])
    name = dice.choice(sorted(tensors))
    how = dice.randrange(6)
    if how < 3:
        tensors[name] = other_tensor(tensors[name], dice).contiguous()
    elif how == 3:
        tensors[name + "x"] = tensors.pop(name)
    elif how == 4:
        tensors["learner.more"] = torch.zeros(1000)
    else:
        facts = other_json(facts, dice)
    if isinstance(facts, dict):
        own = {n: f for n, f in facts.items() if n != "crc32"}
        facts["crc32"] = checksum(tensors, own)
    safetensors.torch.save_file(tensors, path, {"advnets": json.dumps(facts)})


def other_head(work: Path, path: Path, dice: random.Random) -> None:
    """Give a checkpoint a header with wrong lengths, offsets or types."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    head, how = raw[8 : 8 + size], dice.randrange(4)
    if how == 0:
        lie = dice.choice([0, 1, size - 1, size + 8, len(raw), 2**40, 2**64 - 1])
        path.write_bytes(lie.to_bytes(8, "little") + raw[8:])
        return
    if how == 1:
        head = head.replace(b"F32", dice.choice([b"F64", b"F8 ", b"I32"]), 1)
    elif how == 2:
        table = json.loads(head)
        name = dice.choice([k for k in table if k != "__metadata__"])
        table[name] = other_json(table[name], dice)
        head = json.dumps(table).encode()
    else:
        head = other_text(head.decode(), dice).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + raw[8 + size :])


# The configuration, and places


def other_config(work: Path, path: Path, dice: random.Random) -> None:
    """Change, delete or repeat a line of the configuration."""
    lines = path.read_text().splitlines()
    at, how = dice.randrange(len(lines)), dice.randrange(4)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(at, lines[at])
    else:
        name = lines[at].split("=")[0]
        lines[at] = f"{name}= {dice.choice(VALUES)}" if "=" in lines[at] else "[oops]"
    path.write_text("\n".join(lines))


def other_bytes(work: Path, path: Path, dice: random.Random) -> None:
    """Damage the bytes of a file."""
    path.write_bytes(damaged(path.read_bytes(), dice))


def no_file(work: Path, path: Path, dice: random.Random) -> None:
    """Put a link, a folder, a pipe or a device in place of a file."""
    path.unlink()
    how = dice.randrange(6)
    if how == 0:
        path.mkdir()
    elif how == 1:
        os.mkfifo(path)
    else:
        devices = Path("/dev/zero"), Path("/dev/null")
        places = [work / "bystander" / "file", work / "nowhere", path, *devices]
        path.symlink_to(dice.choice(places))


def planted(work: Path, path: Path, dice: random.Random) -> None:
    """Put a link where a command will write a file."""
    names = [".lock", ".part.config.toml", "evaluation.json", "samples/x.png", "report.html"]
    place = path.parent / dice.choice([*names, "samples.png", "evaluation.png"])
    place.unlink(missing_ok=True)
    place.symlink_to(work / "bystander" / "file")


CHECKPOINT = (sealed_again, sealed_again, other_head, other_bytes, no_file)
FACTS = (other_facts, other_facts, other_bytes, no_file)
EVERY = ("sample", "evaluate", "report", "train")
# By which commands a file is read, and how it can be damaged.
READ: dict[str, tuple[tuple[str, ...], tuple[Damage, ...]]] = {
    "config.toml": (EVERY, (other_config, other_config, other_bytes, no_file)),
    "data.json": (EVERY, FACTS),
    "checkpoints/best.safetensors": (("sample", "evaluate", "report"), CHECKPOINT),
    "checkpoints/00000002.safetensors": (("train",), CHECKPOINT),
    "metrics.jsonl": (("report", "train"), FACTS),
    "clock.jsonl": (("report", "train"), FACTS),
    "environment.json": (("report",), FACTS),
    "environment.jsonl": (("train",), FACTS),
    "evaluation.json": (("report", "runs", "export"), FACTS),
    "samples/00000002.png": (("report",), (other_bytes, no_file)),
    ".lock": (EVERY, (planted,)),
}  # fmt: skip
SHARED: dict[str, tuple[Damage, ...]] = {
    "hub/config.json": FACTS,
    "hub/model.safetensors": CHECKPOINT,
    "generator.safetensors": CHECKPOINT,
}
"""The files of a shared generator, which `sample` and `export` read."""
CHECKED: dict[str, tuple[Damage, ...]] = {
    name: (other_head, other_bytes) for name in READ if name.startswith("checkpoints")
}
"""Damage that contradicts the file itself: its checksum, or its header. Other damage may give
another whole file, such as a number in place of another one."""
