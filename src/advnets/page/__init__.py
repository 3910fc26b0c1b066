"""The shell of every HTML page here: one file, its style inside, nothing fetched from anywhere."""

from importlib import resources

from advnets.page import markup


def document(title: str, *parts: str) -> str:
    """A whole HTML file that opens without a network, on a phone, in the dark and on paper.

    Args:
        title: The title, as plain text.
        parts: What stands in `<main>`, as HTML.
    """
    style = resources.files("advnets.page").joinpath("style.css").read_text(encoding="utf-8")
    head = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f'<title>{markup.text(title)}</title>\n<link rel="icon" href="data:,">',
        f"<style>\n{style}</style>\n</head>\n<body>\n<main>",
    ]
    return "\n".join([*head, *parts, "</main>\n</body>\n</html>\n"])
