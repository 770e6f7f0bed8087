# SPDX-License-Identifier: ISC
"""The gateway's log lines, read by the grammar that proxy/observer/log.h
documents and by nothing looser."""
import base64
import json
import re

from . import MARK

# key=value pairs, one space between; a value is bare or quoted.
PAIR = re.compile(r'([a-z_]+)=(?:"((?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\.)*)"'
                  r'|([^\x00-\x20"\\=\x7f-\U0010ffff]*))(?: |$)')


def parse_logfmt(line):
    """A dictionary; AssertionError when the line isn't in the grammar."""
    fields = {}
    position = 0
    while position < len(line):
        found = PAIR.match(line, position)
        assert found, f"at {position}: {line!r}"
        key, quoted, bare = found.groups()
        assert key not in fields, f"{key} twice: {line!r}"
        fields[key] = bare if quoted is None else quoted
        position = found.end()
    assert not line.endswith(" "), line
    return fields


def parse_json(line):
    fields = json.loads(line)
    assert isinstance(fields, dict), line
    return {key: value if isinstance(value, str) else json.dumps(value)
            for key, value in fields.items()}


def parse(line):
    return parse_json(line) if line.startswith("{") else parse_logfmt(line)


def marks():
    """The octets of MARK as they are and as they look in base64."""
    found = [MARK.encode()]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + MARK.encode())
        found.append(text[4 if shift else 0:-4])
    return found


def leaks(data):
    return [mark for mark in marks() if mark in data]
