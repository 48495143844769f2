#!/usr/bin/env python3
"""Checks that every relative link and picture in the Markdown files of the repository exists, and every heading that a
link names. Prints the broken ones and exits with 1 if there are any."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)


def anchors(text):
    """The anchors that GitHub gives to the headings of a page."""
    found = []
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", text, re.MULTILINE):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = found.count(slug)
        found += [slug, f"{slug}-{again}"] if again else [slug]
    return found


def main():
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    pages = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    broken = []
    for page in filter(None, pages):
        file = ROOT / page
        text = FENCE.sub("", file.read_text())
        for link in LINK.findall(text):
            if re.match(r"[a-z][a-z0-9+.-]*:", link, re.IGNORECASE):
                continue
            path, _, anchor = unquote(link).partition("#")
            target = (file.parent / path).resolve() if path else file
            if not target.exists():
                broken.append(f"{page}: {link}: no such file")
            elif anchor and (target.suffix != ".md" or anchor not in anchors(FENCE.sub("", target.read_text()))):
                broken.append(f"{page}: {link}: no such heading")
    print("\n".join(broken) if broken else "every link exists")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
