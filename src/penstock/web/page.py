"""One self-contained HTML page from styles, scripts, a body and data: nothing is loaded from anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The browser itself then refuses every request, whatever a script does."""

PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
$body
<script type="application/json" id="data">$data</script>
<script>
(() => {
"use strict";
$script
})();
</script>
</body>
</html>
""")


def asset(package: str, name: str) -> str:
    """The text of a file that is shipped inside a package, such as ("penstock.web", "chart.js")."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def page(title: str, *, body: str, styles: Sequence[str], scripts: Sequence[str], data: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        title: shown in the tab; escaped here.
        body: HTML of the body; its author escapes what comes from users.
        styles: texts of style sheets, in order.
        scripts: texts of scripts, in order; they share one scope, and may read `data` from the element of that id.
        data: goes in as JSON. Not escaped by HTML's rules (a script element is not parsed), but no "<" is left in it,
            so that no text of a user can end the element.

    Returns:
        A document that opens from a file and makes no request.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return PAGE.substitute(
        policy=POLICY,
        title=escape(title),
        style="\n".join(styles),
        body=body,
        data=text,
        script="\n".join(scripts),
    )
