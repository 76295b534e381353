"""Whether letters and digits look like words, as names do, or like random ones, as digests in base64 do."""

_PAIRS = (
    "06870460604878060878553150"
    "80309204650930820772800062"
    "70508009508700920748500020"
    "75069230901530720683530050"
    "73785440300658152997054620"
    "80108700901600900766700030"
    "64309167800536630873600002"
    "91029200800140900646500020"
    "54667660002769850578050303"
    "33339333333333933383835333"
    "51049330900506550093303000"
    "82079400903800920275621050"
    "95039000801563880060510000"
    "60788590604415730088530030"
    "45663350425779660967757200"
    "90038033702801860967700060"
    "33333333333633333333933333"
    "81459140805355800577552060"
    "70609307705423750079624040"
    "80509208900421830785503150"
    "65557050600879270889010101"
    "80409030900013500000100000"
    "92249009801308800871002100"
    "81819555811111181319111364"
    "55037300700557880499005000"
    "83339333833333633383633337"
)
"""How often each letter follows each other one in words, as a digit: 6 is as often as by chance, each more 1.7 times.

Row by row for the letters before, from the words of the documents of artstore.
"""
_CHANCE, _STEP = 6, 0.75
_KINDS = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-",
    b"A" * 26 + b"a" * 26 + b"0" * 10 + b"___",
)
_CHANGES = {
    b"Aa": 1.05, b"aa": 0.95, b"aA": -1.4, b"AA": -0.3, b"a0": -1.4, b"00": 1.6, b"0A": 0.6, b"A0": -0.7, b"0a": -1.5,
}  # fmt: skip
"""What a change from one kind of character to the next says, in bits: for words if it is above zero."""
_SEPARATED = 0.8
_LETTERS = (b"aa", b"Aa", b"AA")


def kinds_of(text: bytes) -> bytes:
    """The kind of each letter and digit: `A`, `a`, `0`, or `_` for what separates words."""
    return text.translate(_KINDS)


def likeness_to_words(text: bytes) -> float:
    """How much more likely the text is as words than as random letters and digits, in bits."""
    kinds, found = kinds_of(text), 0.0
    for at in range(len(text) - 1):
        pair = kinds[at : at + 2]
        if b"_" in pair:
            found += _SEPARATED
            continue
        found += _CHANGES[pair]
        if pair in _LETTERS:
            row, column = (letter & 31 for letter in text[at : at + 2])
            found += (int(_PAIRS[(row - 1) * 26 + column - 1]) - _CHANCE) * _STEP
    return found
