"""The API's document as its readers get it."""

from functools import cache


@cache
def document() -> str:
    """The document as JSON.

    The build of the layer makes the file from infra/openapi.yaml. Where there is no built layer
    there is no file, and this raises FileNotFoundError.
    """
    # Not at the top: hardly any request asks for the document.
    from importlib.resources import files  # noqa: PLC0415

    return files("florin.edge").joinpath("openapi.json").read_text(encoding="utf-8")
