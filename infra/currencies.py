"""Write florin.domain.currencies from the published list of ISO 4217: `python -m infra.currencies`.

The table is committed, so that the domain imports nothing and a change of the list is a change
that somebody reads. A test compares it with the library's.
"""

import textwrap
from collections import defaultdict
from typing import Final

from iso4217 import Currency

from infra.paths import SHARED

TABLE: Final = SHARED / "florin" / "domain" / "currencies.py"

_HEAD = '''\
"""The currencies of ISO 4217 that have minor units.

Written by `python -m infra.currencies`; do not edit. Metals, special drawing rights and codes
for testing have no minor units, so no amount can be told in them.
"""

from collections.abc import Mapping
from typing import Final

_CODES: Final[Mapping[int, str]] = {
'''

_FOOT = '''\
}

EXPONENTS: Final[Mapping[str, int]] = {
    code: exponent for exponent, codes in _CODES.items() for code in codes.split()
}
"""How many decimal places the minor unit of each currency has."""
'''


def exponents() -> dict[str, int]:
    """The decimal places of each currency that has a minor unit, as the library knows them."""
    return {
        currency.code: currency.exponent for currency in Currency if currency.exponent is not None
    }


def rendered() -> str:
    """The module as it should be."""
    by_exponent: dict[int, list[str]] = defaultdict(list)
    for code, exponent in sorted(exponents().items()):
        by_exponent[exponent].append(code)
    lines = []
    for exponent, codes in sorted(by_exponent.items()):
        rows = textwrap.wrap(" ".join(codes), 79)
        if len(rows) == 1:
            lines.append(f'    {exponent}: "{rows[0]}",')
            continue
        lines.append(f"    {exponent}: (")
        lines += [f'        "{row} "' for row in rows[:-1]] + [f'        "{rows[-1]}"', "    ),"]
    return _HEAD + "\n".join(lines) + "\n" + _FOOT


if __name__ == "__main__":
    TABLE.write_text(rendered(), encoding="utf-8")
