"""Pictures of the documentation, drawn from the account of docs/how-to/options.md.

$ python examples/draw_pictures.py
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance

FOLDER = Path(__file__).parents[1] / "docs/pictures"
WIDTH = Decimal("0.02")
BAND = DriftBand(WIDTH, WIDTH)
TARGETS = {"BOND": Decimal("0.50"), "SHIP": Decimal("0.25"), "WIND": Decimal("0.20")}
PRICES = {
    "BOND": Decimal("98.45"),
    "SHIP": Decimal("312.20"),
    "WIND": Decimal("41.07"),
    "GOLD": Decimal("55.00"),
}
HOLDINGS = {"BOND": Decimal(240), "SHIP": Decimal(37), "WIND": Decimal(190), "GOLD": Decimal("7.5")}
CASH = Decimal("2018.60")
VALUE = CASH + sum(HOLDINGS[name] * PRICES[name] for name in HOLDINGS)
INK, BLUE, PALE, RED = "#222", "#1f6feb", "#cfe3ff", "#c0392b"


def line(x1: float, y1: float, x2: float, y2: float, color: str = INK, more: str = "") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" {more}/>'
    )


def rectangle(x: float, y: float, width: float, height: int, color: str) -> str:
    size = f'width="{width:.1f}" height="{height}"'
    return f'<rect x="{x:.1f}" y="{y}" {size} fill="{color}"/>'


def text(x: float, y: float, words: str, anchor: str = "middle", color: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{words}</text>'


def dot(x: float, y: float, fill: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{INK}"/>'


def picture(title: str, width: int, height: int, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="13">\n<title>{title}</title>\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n'
    )
    return f"{head}{chr(10).join(parts)}\n</svg>\n"


def after() -> dict[str, Decimal]:
    """Compute the holdings after the plan of the engine."""
    targets = tuple(Target(name, weight, BAND) for name, weight in TARGETS.items())
    answer = rebalance(
        Model("Recipes", targets, ("ANNA",)), Portfolio("ANNA", CASH, HOLDINGS, PRICES)
    )
    trades = {
        trade.security_id: trade.quantity if trade.side == "BUY" else -trade.quantity
        for trade in answer.transactions
    }
    return {name: HOLDINGS[name] + trades.get(name, 0) for name in HOLDINGS}


def bands() -> str:
    """Draw band and target of each security, with its weight before and after the plan."""
    holdings, parts = (
        after(),
        [text(90, 30, "drift from the target, in percent of market value", "start")],
    )
    half = 300 / 0.035

    for row, (name, target) in enumerate(TARGETS.items()):
        y = 75 + 55 * row

        def x(weight: Decimal, target: Decimal = target) -> float:
            return 400 + float(weight - target) * half

        low, high = x(target - WIDTH), x(target + WIDTH)
        before, now = (
            x(held_now[name] * PRICES[name] / VALUE) for held_now in (HOLDINGS, holdings)
        )
        parts += [
            text(20, y + 5, f"{name} {target * 100:.0f} %", "start"),
            rectangle(low, y - 14, high - low, 28, PALE),
            line(low, y - 14, low, y + 14, BLUE),
            line(high, y - 14, high, y + 14, BLUE),
            line(400, y - 18, 400, y + 18, INK, 'stroke-dasharray="4 3"'),
            line(before, y, now, y, RED, 'stroke-width="2"'),
            dot(before, y, "white"),
            dot(now, y, RED),
        ]
    bottom = 75 + 55 * len(TARGETS)
    for percent in (-3, -2, -1, 0, 1, 2, 3):
        at = 400 + percent / 100 * half
        parts += [line(at, bottom - 12, at, bottom - 6), text(at, bottom + 10, f"{percent:+d}")]
    parts += [
        dot(150, bottom + 36, "white"),
        text(162, bottom + 40, "before", "start"),
        dot(240, bottom + 36, RED),
        text(252, bottom + 40, "after the plan", "start"),
        text(400, bottom + 40, "shaded: the band; dashed: the target", "start"),
    ]
    return picture("Band and target", 720, bottom + 60, parts)


def hull() -> str:
    """Draw the drift of SHIP over whole shares, with the convex hull of the program."""
    price, target = PRICES["SHIP"], TARGETS["SHIP"] * VALUE
    nearest = int(target / price)
    counts = range(nearest - 2, nearest + 4)

    def x(count: float) -> float:
        return 110 + (count - counts[0]) * 105

    def y(drift: float) -> float:
        return 300 - drift * 0.28

    drifts = {count: float(abs(target - price * count)) for count in counts}
    points = " ".join(f"{x(count):.1f},{y(drift):.1f}" for count, drift in drifts.items())
    exact, left, right = float(target / price), counts[0], counts[-1]
    dashes = 'stroke-dasharray="5 4"'
    parts = [
        line(80, 300, 660, 300),
        line(80, 300, 80, 40),
        text(90, 52, "drift |t - p z|, in currency", "start"),
        text(660, 340, "z, shares of SHIP", "end"),
        line(x(left), y(drifts[left]), x(exact), y(0), INK, dashes),
        line(x(exact), y(0), x(right), y(drifts[right]), INK, dashes),
        f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="3"/>',
        text(x(exact), 342, f"t / p = {exact:.2f}"),
    ]
    for count, drift in drifts.items():
        parts += [dot(x(count), y(drift), RED), text(x(count), 320, str(count))]
        side, anchor = (10, "start") if count < nearest else (-10, "end")
        parts.append(text(x(count) + side, y(drift) - 6, f"{drift:.2f}", anchor))
    parts += [
        text(310, 90, "dashed: |t - p z|", "start"),
        text(310, 112, "blue: its hull", "start", BLUE),
        text(310, 134, "red: whole shares", "start", RED),
    ]
    return picture("Hull of a security", 720, 350, parts)


PICTURES = {"band.svg": bands, "hull.svg": hull}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw())
